/// One word or sign of a source file. Comments are kept apart, and a string literal is one token whatever it holds,
/// so that no check mistakes text for code.
struct Token {
  enum Kind {
    case identifier
    case number
    /// `text` is what stands between the quotes, without interpolations; their code follows as tokens in parentheses.
    case string
    /// One character.
    case symbol
  }

  let kind: Kind
  var text: String
  /// Counts from 1.
  let line: Int
  /// Position of the first byte in the file.
  let offset: Int
  /// The comments between the token before and this one, as indices into the file's comments.
  let comments: Range<Int>
  /// Stands in backticks: a name, never a keyword.
  var isEscaped = false
  /// Belongs to a line such as `#if` or `#define`.
  var isDirective = false

  func isWord(_ word: String) -> Bool { kind == .identifier && !isEscaped && text == word }
  func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
}

/// A comment, with its marks.
struct Comment {
  let text: String
  let firstLine: Int
  let lastLine: Int
  /// Written `///` or `/** */`.
  let isDocumentation: Bool
}
