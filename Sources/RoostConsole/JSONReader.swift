import RoostPrimitives

extension JSONValue {
  /// Reads exactly one JSON text, strictly by RFC 8259: UTF-8 without a byte order mark, no comments, no trailing
  /// commas, no second value. Repeated names, lone surrogates, numbers beyond a double's range, and more than 256
  /// levels are refused.
  ///
  /// - Throws: `invalidInput` with the line and column (in bytes, from 1) of what is wrong.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(RoostError) {
    var reader = JSONReader(bytes)
    self = try reader.readWhole()
  }

  /// Reads one JSON text from a string; see `init(parsing:)` for bytes.
  public init(parsing text: String) throws(RoostError) {
    let bytes = Array(text.utf8)
    let result = bytes.withUnsafeBytes { bytes -> Result<JSONValue, RoostError> in
      do throws(RoostError) { return .success(try JSONValue(parsing: bytes)) } catch { return .failure(error) }
    }
    self = try result.get()
  }
}

/// A cursor over the bytes of a JSON text.
private struct JSONReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func readWhole() throws(RoostError) -> JSONValue {
    skipSpace()
    let value = try readValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure("something follows the value") }
    return value
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private func failure(_ message: String, at place: Int? = nil) -> RoostError {
    let place = place ?? position
    var line = 1
    var lineStart = 0
    for index in 0..<min(place, bytes.count) where bytes[index] == 0x0A {
      line += 1
      lineStart = index + 1
    }
    let context = [("line", "\(line)"), ("column", "\(place - lineStart + 1)")]
    return RoostError(.invalidInput, "not JSON: \(message)", context: context.map { (name: $0.0, value: $0.1) })
  }

  private mutating func readValue(depth: Int) throws(RoostError) -> JSONValue {
    guard let byte = next else { throw failure("the text ends where a value should stand") }
    switch byte {
    case UInt8(ascii: "{"): return try readObject(depth: depth + 1)
    case UInt8(ascii: "["): return try readArray(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try readNumber()
    case UInt8(ascii: "t"): return try read("true", as: .bool(true))
    case UInt8(ascii: "f"): return try read("false", as: .bool(false))
    case UInt8(ascii: "n"): return try read("null", as: .null)
    default: throw failure("a value cannot start with \(JSONReader.show(byte))")
    }
  }

  private static func show(_ byte: UInt8) -> String {
    (0x21...0x7E).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(String(byte, radix: 16))"
  }

  private mutating func read(_ word: StaticString, as value: JSONValue) throws(RoostError) -> JSONValue {
    let expected = UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    let rest = bytes[position...]
    guard rest.starts(with: expected) else { throw failure("an unknown word; JSON has true, false and null") }
    position += expected.count
    return value
  }

  private mutating func enter(_ depth: Int) throws(RoostError) {
    guard depth <= Limits.jsonDepthMax else {
      throw failure("nested deeper than \(Limits.jsonDepthMax) levels")
    }
    position += 1
    skipSpace()
  }

  private mutating func readArray(depth: Int) throws(RoostError) -> JSONValue {
    try enter(depth)
    var elements: [JSONValue] = []
    if next == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    while true {
      elements.append(try readValue(depth: depth))
      if try !readSeparator(closing: UInt8(ascii: "]"), "an array") { return .array(elements) }
    }
  }

  private mutating func readObject(depth: Int) throws(RoostError) -> JSONValue {
    try enter(depth)
    var members: [JSONMember] = []
    var names: Set<String> = []
    if next == UInt8(ascii: "}") {
      position += 1
      return .object(members)
    }
    while true {
      let start = position
      guard next == UInt8(ascii: "\"") else { throw failure("an object's member must start with a name in quotes") }
      let name = try readString()
      guard names.insert(name).inserted else { throw failure("the name '\(name)' is given twice", at: start) }
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw failure("a colon must follow a member's name") }
      position += 1
      skipSpace()
      members.append(JSONMember(name, try readValue(depth: depth)))
      if try !readSeparator(closing: UInt8(ascii: "}"), "an object") { return .object(members) }
    }
  }

  /// Whether another element follows.
  private mutating func readSeparator(closing: UInt8, _ what: String) throws(RoostError) -> Bool {
    skipSpace()
    guard let byte = next else { throw failure("the text ends inside \(what)") }
    guard byte == closing || byte == UInt8(ascii: ",") else {
      throw failure("a comma or the end must follow inside \(what), not \(JSONReader.show(byte))")
    }
    position += 1
    if byte == closing { return false }
    skipSpace()
    return true
  }
}

/// Numbers.
extension JSONReader {
  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    return position - start
  }

  private mutating func readNumber() throws(RoostError) -> JSONValue {
    let start = position
    let isNegative = next == UInt8(ascii: "-")
    if isNegative { position += 1 }
    let isZero = next == UInt8(ascii: "0")
    let digitCount = skipDigits()
    guard digitCount > 0 else { throw failure("a number needs digits") }
    guard !isZero || digitCount == 1 else { throw failure("a number must not start with 0", at: start) }
    var isInteger = true
    if next == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard skipDigits() > 0 else { throw failure("digits must follow the decimal point") }
    }
    if let byte = next, byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if let sign = next, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      guard skipDigits() > 0 else { throw failure("digits must follow the exponent") }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    // Negative zero is a double; there is no such integer.
    if isInteger, !(isNegative && isZero) {
      if let value = Int64(text) { return .integer(value) }
      if let value = UInt64(text) { return .unsigned(value) }
    }
    guard let value = Double(text), value.isFinite else { throw failure("the number is too large", at: start) }
    return .number(value)
  }
}

/// Strings.
extension JSONReader {
  private mutating func readString() throws(RoostError) -> String {
    let start = position
    position += 1
    var content: [UInt8] = []
    while true {
      let plain = position
      while let byte = next, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { position += 1 }
      content.append(contentsOf: bytes[plain..<position])
      guard let byte = next else { throw failure("the text ends inside a string", at: start) }
      if byte == UInt8(ascii: "\"") { break }
      guard byte == UInt8(ascii: "\\") else { throw failure("a control character in a string must be escaped") }
      try readEscape(into: &content)
    }
    position += 1
    guard let text = String(validating: content, as: UTF8.self) else {
      throw failure("the string is not UTF-8", at: start)
    }
    return text
  }

  private mutating func readEscape(into content: inout [UInt8]) throws(RoostError) {
    let start = position
    position += 1
    guard let letter = next else { throw failure("the text ends inside a string", at: start) }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try readScalar(start)
      content.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("an unknown escape \\\(JSONReader.show(letter))", at: start)
    }
  }

  private mutating func readScalar(_ start: Int) throws(RoostError) -> Unicode.Scalar {
    let first = try readHex(start)
    if let scalar = Unicode.Scalar(first) { return scalar }
    // Half of a surrogate pair: the other half must follow.
    guard first < 0xDC00, next == UInt8(ascii: "\\"), position + 1 < bytes.count,
      bytes[position + 1] == UInt8(ascii: "u")
    else { throw failure("half of a surrogate pair stands alone", at: start) }
    position += 2
    let second = try readHex(start)
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw failure("half of a surrogate pair stands alone", at: start) }
    return scalar
  }

  private mutating func readHex(_ start: Int) throws(RoostError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("four hexadecimal digits must follow \\u", at: start)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
