import RoostConsole
import RoostPrimitives

/// Parses one line of a trace, by hand: 6 million ids must not be 6 million JSON values.
///
/// Fields that are known are read straight from the bytes; the value of any other field goes through the JSON reader,
/// so that what is not JSON is still refused. Messages say what is wrong and in which column, not in which line.
struct TraceLineParser {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var seen: Set<Field> = []

  private enum Field: String, CaseIterable {
    case timestamp
    case inputLength = "input_length"
    case outputLength = "output_length"
    case hashIDs = "hash_ids"
    case session

    static let required: [Field] = [.timestamp, .inputLength, .outputLength, .hashIDs]
    static let names = allCases.map { (field: $0, name: Array($0.rawValue.utf8)) }
  }

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func parse(into request: inout TraceRequest) throws(RoostError) {
    request.clear()
    skipSpace()
    guard take("{") else { throw failure("this is not a JSON object; a trace has one object a line") }
    skipSpace()
    if !take("}") {
      repeat {
        skipSpace()
        try parseMember(into: &request)
        skipSpace()
      } while take(",")
      guard take("}") else { throw failure("this is not JSON: a comma or } must follow a value") }
    }
    skipSpace()
    guard position == bytes.count else { throw failure("something follows the object; a trace has one object a line") }
    if let missing = Field.required.first(where: { !seen.contains($0) }) {
      let needed = Field.required.map(\.rawValue).joined(separator: ", ")
      throw RoostError(.invalidInput, "the field \(missing.rawValue) is missing; every line needs \(needed)")
    }
  }

  private mutating func parseMember(into request: inout TraceRequest) throws(RoostError) {
    let nameStart = position
    guard take("\"") else { throw failure("this is not JSON: a field's name in quotes must stand here") }
    try skipStringRest(from: nameStart)
    let field = try field(named: nameStart..<position)
    skipSpace()
    guard take(":") else { throw failure("this is not JSON: a colon must follow a field's name") }
    skipSpace()
    guard let field else {
      try skipValue()
      return
    }
    guard seen.insert(field).inserted else { throw failure("the field \(field.rawValue) is given twice") }
    switch field {
    case .timestamp: request.milliseconds = try parseTime()
    case .inputLength: request.inputTokenCount = Int(try parseWhole(field.rawValue))
    case .outputLength: request.outputTokenCount = Int(try parseWhole(field.rawValue))
    case .hashIDs: try parseIDs(into: &request.ids)
    case .session: request.session = try parseSession()
    }
  }

  /// The field that a name in quotes means, nil for an unknown one.
  private func field(named range: Range<Int>) throws(RoostError) -> Field? {
    let content = UnsafeRawBufferPointer(rebasing: bytes[range.dropFirst().dropLast()])
    for (field, name) in Field.names where name.count == content.count && content.elementsEqual(name) { return field }
    // Unknown, or written with escapes.
    return try Field(rawValue: checkJSON(range).text ?? "")
  }

  private mutating func parseIDs(into ids: inout [UInt64]) throws(RoostError) {
    guard take("[") else { throw failure("hash_ids must be a list of whole numbers, [1,2,3]") }
    skipSpace()
    if take("]") { return }
    repeat {
      skipSpace()
      ids.append(try parseWhole("an id in hash_ids"))
      skipSpace()
    } while take(",")
    guard take("]") else { throw failure("hash_ids must be a list of whole numbers, [1,2,3]") }
  }

  /// A whole number from 0 to 2^63 - 1.
  private mutating func parseWhole(_ what: String) throws(RoostError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    while position < bytes.count {
      let digit = bytes[position] &- UInt8(ascii: "0")
      guard digit <= 9 else { break }
      // 18 digits cannot overflow; only longer numbers are looked at twice.
      if position - start >= 18, value > (UInt64(Int64.max) - UInt64(digit)) / 10 {
        throw failure("\(what) is larger than \(Int64.max)", at: start)
      }
      value = value &* 10 &+ UInt64(digit)
      position += 1
    }
    let isPadded = position - start > 1 && bytes[start] == UInt8(ascii: "0")
    if position == start || isPadded || isNumberGoingOn { throw notWhole(what, at: start) }
    return value
  }

  private var isNumberGoingOn: Bool {
    guard position < bytes.count else { return false }
    let byte = bytes[position]
    return byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
  }

  private func notWhole(_ what: String, at start: Int) -> RoostError {
    if start < bytes.count, bytes[start] == UInt8(ascii: "-") {
      return failure("\(what) is negative", at: start)
    }
    return failure("\(what) must be a whole number", at: start)
  }

  private mutating func parseSession() throws(RoostError) -> Int? {
    if position < bytes.count, bytes[position] == UInt8(ascii: "n") {
      try skipValue()
      return nil
    }
    return Int(try parseWhole("session"))
  }

  /// Milliseconds; some tools write them with a fraction.
  private mutating func parseTime() throws(RoostError) -> Int {
    let start = position
    guard let value = try skipValue().double, value < 9e18 else {
      throw failure("timestamp must be a number of milliseconds", at: start)
    }
    guard value >= 0 else { throw failure("timestamp is negative", at: start) }
    return Int(value)
  }
}

/// Bytes.
extension TraceLineParser {
  private mutating func skipSpace() {
    while position < bytes.count, bytes[position] <= 0x20 {
      let byte = bytes[position]
      guard byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A else { return }
      position += 1
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Moves behind the closing quote of a string whose opening quote is behind us.
  private mutating func skipStringRest(from start: Int) throws(RoostError) {
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: "\"") { return }
      if byte == UInt8(ascii: "\\") { position += 1 }
    }
    throw failure("this is not JSON: the line ends inside a string", at: start)
  }

  /// Moves behind a value, which the JSON reader then checks.
  @discardableResult private mutating func skipValue() throws(RoostError) -> JSONValue {
    let start = position
    var depth = 0
    scan: while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        let quote = position
        position += 1
        try skipStringRest(from: quote)
        continue scan
      case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        if depth == 0 { break scan }
        depth -= 1
      case UInt8(ascii: ",") where depth == 0: break scan
      default: break
      }
      position += 1
    }
    position = min(position, bytes.count)
    return try checkJSON(start..<position)
  }

  @discardableResult private func checkJSON(_ range: Range<Int>) throws(RoostError) -> JSONValue {
    do throws(RoostError) {
      return try JSONValue(parsing: UnsafeRawBufferPointer(rebasing: bytes[range]))
    } catch {
      throw failure("this is not JSON: \(error.message.dropFirst("not JSON: ".count))", at: range.lowerBound)
    }
  }

  private func failure(_ message: String, at place: Int? = nil) -> RoostError {
    RoostError(.invalidInput, "\(message) (column \((place ?? position) + 1))")
  }
}
