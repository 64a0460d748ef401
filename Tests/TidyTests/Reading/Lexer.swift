/// Cuts Swift or C into tokens and comments.
///
/// It knows what hides code from a plain text search: nested comments, string literals of one or many lines with any
/// number of `#`, interpolations (their code is code), regular expressions, characters, directives. It never fails: an
/// unterminated literal ends with its line or the file.
struct Lexer {
  enum Language {
    case swift
    case c
  }

  private let bytes: [UInt8]
  private let language: Language
  private var position = 0
  private var line = 1
  private var firstComment = 0
  private var isInDirective = false
  private(set) var tokens: [Token] = []
  private(set) var comments: [Comment] = []

  init(_ text: String, language: Language) {
    bytes = Array(text.utf8)
    self.language = language
    while position < bytes.count { step() }
  }

  /// The byte `distance` ahead, 0 behind the end.
  private func peek(_ distance: Int = 0) -> UInt8 {
    position + distance < bytes.count ? bytes[position + distance] : 0
  }

  private func text(from start: Int) -> String { String(decoding: bytes[start..<position], as: UTF8.self) }

  /// Passes one byte and counts lines.
  private mutating func advance() {
    if bytes[position] == UInt8(ascii: "\n") { line += 1 }
    position += 1
  }

  private mutating func advance(by count: Int) {
    for _ in 0..<count where position < bytes.count { advance() }
  }

  /// Adds a token that starts at `start`; comments seen since the last one belong to it.
  private mutating func append(_ kind: Token.Kind, _ text: String, start: Int, line: Int) {
    tokens.append(
      Token(
        kind: kind, text: text, line: line, offset: start, comments: firstComment..<comments.count,
        isDirective: isInDirective))
    firstComment = comments.count
  }

  /// Reads one token, comment or space.
  private mutating func step() {
    let byte = peek()
    switch byte {
    case UInt8(ascii: "\n"):
      // A directive ends with its line unless the line ends in a backslash.
      if position == 0 || bytes[position - 1] != UInt8(ascii: "\\") { isInDirective = false }
      advance()
    case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
      advance()
    case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"): lineComment()
    case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): blockComment()
    case UInt8(ascii: "\""): string(hashes: 0)
    case UInt8(ascii: "'") where language == .c: character()
    case UInt8(ascii: "`") where language == .swift: escapedIdentifier()
    case UInt8(ascii: "#"): hash()
    case UInt8(ascii: "/") where language == .swift && startsRegularExpression: regularExpression(hashes: 0)
    case _ where Self.isDigit(byte): number()
    case _ where Self.isWord(byte): word()
    default:
      append(.symbol, String(UnicodeScalar(byte)), start: position, line: line)
      advance()
    }
  }
}

// MARK: - Comments

extension Lexer {
  private mutating func lineComment() {
    let start = position
    while position < bytes.count, peek() != UInt8(ascii: "\n") { position += 1 }
    let comment = text(from: start)
    comments.append(
      Comment(
        text: comment, firstLine: line, lastLine: line,
        isDocumentation: comment.hasPrefix("///") && !comment.hasPrefix("////")))
  }

  private mutating func blockComment() {
    let start = position
    let firstLine = line
    var depth = 0
    repeat {
      if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
        depth = language == .swift ? depth + 1 : 1
        advance(by: 2)
      } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
        depth -= 1
        advance(by: 2)
      } else {
        advance()
      }
    } while depth > 0 && position < bytes.count
    let comment = text(from: start)
    comments.append(
      Comment(
        text: comment, firstLine: firstLine, lastLine: line,
        isDocumentation: comment.hasPrefix("/**") && comment.utf8.count > 4))
  }
}

// MARK: - Words

extension Lexer {
  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private static func isWord(_ byte: UInt8) -> Bool {
    let lower = byte | 0x20
    return byte >= 0x80 || lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z") || isDigit(byte)
      || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$")
  }

  private mutating func word() {
    let start = position
    while Self.isWord(peek()) { position += 1 }
    append(.identifier, text(from: start), start: start, line: line)
  }

  private mutating func number() {
    let start = position
    while Self.isWord(peek()) || (peek() == UInt8(ascii: ".") && Self.isDigit(peek(1))) { position += 1 }
    append(.number, text(from: start), start: start, line: line)
  }

  private mutating func escapedIdentifier() {
    let start = position
    position += 1
    while position < bytes.count, peek() != UInt8(ascii: "`"), peek() != UInt8(ascii: "\n") { position += 1 }
    let name = String(text(from: start).dropFirst())
    if peek() == UInt8(ascii: "`") { position += 1 }
    append(.identifier, name, start: start, line: line)
    tokens[tokens.count - 1].isEscaped = true
  }

  /// A `#`: a raw string, a regular expression, a directive, or the sign before a macro.
  private mutating func hash() {
    var hashes = 1
    while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
    if language == .swift, peek(hashes) == UInt8(ascii: "\"") { return string(hashes: hashes) }
    if language == .swift, peek(hashes) == UInt8(ascii: "/") { return regularExpression(hashes: hashes) }
    let start = position
    position += 1
    let wordStart = position
    while Self.isWord(peek()) { position += 1 }
    let directives = ["if", "elseif", "else", "endif", "sourceLocation", "error", "warning"]
    isInDirective = isInDirective || language == .c || directives.contains(text(from: wordStart))
    position = wordStart
    append(.symbol, "#", start: start, line: line)
  }
}

// MARK: - Literals

extension Lexer {
  private func hasHashes(_ count: Int, at distance: Int) -> Bool {
    (0..<count).allSatisfy { peek(distance + $0) == UInt8(ascii: "#") }
  }

  private mutating func character() {
    let start = position
    let startLine = line
    advance()
    while position < bytes.count, peek() != UInt8(ascii: "'"), peek() != UInt8(ascii: "\n") {
      advance(by: peek() == UInt8(ascii: "\\") ? 2 : 1)
    }
    advance(by: 1)
    append(.string, "", start: start, line: startLine)
  }

  private mutating func string(hashes: Int) {
    let token = tokens.count
    append(.string, "", start: position, line: line)
    position += hashes
    let quote = UInt8(ascii: "\"")
    let isMultiline = language == .swift && peek(1) == quote && peek(2) == quote
    let quotes = isMultiline ? 3 : 1
    position += quotes
    var content: [UInt8] = []
    while position < bytes.count {
      let isEnd = (0..<quotes).allSatisfy { peek($0) == quote } && hasHashes(hashes, at: quotes)
      if isEnd || (!isMultiline && peek() == UInt8(ascii: "\n")) { break }
      if peek() == UInt8(ascii: "\\"), hasHashes(hashes, at: 1) {
        advance(by: 1 + hashes)
        if language == .swift, peek() == UInt8(ascii: "(") {
          interpolation()
        } else {
          advance(by: 1)
        }
      } else {
        content.append(peek())
        advance()
      }
    }
    if peek() == quote { position += quotes + hashes }
    tokens[token].text = String(decoding: content, as: UTF8.self)
  }

  /// The code between `\(` and its `)`, both included.
  private mutating func interpolation() {
    var depth = 0
    repeat {
      let before = tokens.count
      step()
      guard tokens.count == before + 1 else { continue }
      if tokens[before].isSymbol("(") { depth += 1 }
      if tokens[before].isSymbol(")") { depth -= 1 }
    } while depth > 0 && position < bytes.count
  }

  /// Whether the `/` here starts a literal: an operand is expected, and the literal ends on this line.
  private var startsRegularExpression: Bool {
    if let last = tokens.last {
      let isOperandExpected =
        last.kind == .symbol && "(,=:[{!&|?;".contains(last.text) || last.isWord("return") || last.isWord("in")
      guard isOperandExpected else { return false }
    }
    guard ![UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: ")"), UInt8(ascii: ",")].contains(peek(1)) else {
      return false
    }
    var distance = 1
    while position + distance < bytes.count, peek(distance) != UInt8(ascii: "\n") {
      if peek(distance) == UInt8(ascii: "/") { return true }
      distance += peek(distance) == UInt8(ascii: "\\") ? 2 : 1
    }
    return false
  }

  private mutating func regularExpression(hashes: Int) {
    append(.string, "", start: position, line: line)
    advance(by: hashes + 1)
    while position < bytes.count {
      if peek() == UInt8(ascii: "/"), hasHashes(hashes, at: 1) { break }
      if hashes == 0, peek() == UInt8(ascii: "\n") { return }
      advance(by: peek() == UInt8(ascii: "\\") ? 2 : 1)
    }
    advance(by: hashes + 1)
  }
}
