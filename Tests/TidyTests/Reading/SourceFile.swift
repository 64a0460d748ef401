/// A file of the repository, read once for all checks.
struct SourceFile {
  /// From the repository's root.
  let path: String
  let text: String
  /// Nil: neither Swift nor C, only its text is looked at.
  let language: Lexer.Language?
  let tokens: [Token]
  let comments: [Comment]
  /// Of Swift only.
  let declarations: [Declaration]
  private let reasonLines: Set<Int>

  init(path: String, text: String) {
    self.path = path
    self.text = text
    language =
      switch path.split(separator: ".").last {
      case "swift": .swift
      case "c", "h": .c
      default: nil
      }
    let lexer = language.map { Lexer(text, language: $0) }
    tokens = lexer?.tokens ?? []
    comments = lexer?.comments ?? []
    declarations = language == .swift ? DeclarationScanner(tokens: tokens, comments: comments).declarations : []
    reasonLines = Set(
      comments.filter { !$0.isDocumentation && $0.text.contains(where: \.isLetter) }
        .flatMap { Array($0.firstLine...$0.lastLine) })
  }

  var lineCount: Int { text.utf8.count { $0 == UInt8(ascii: "\n") } + (text.isEmpty || text.hasSuffix("\n") ? 0 : 1) }

  /// Path from the root, folder by folder.
  var folders: [Substring] { path.split(separator: "/").dropLast() }

  /// The name without folders.
  var name: Substring { path.split(separator: "/").last ?? "" }

  var isInSources: Bool { path.hasPrefix("Sources/") }
  var isInTests: Bool { path.hasPrefix("Tests/") }

  /// The target that the file belongs to; nil outside Sources/ and Tests/.
  var module: Substring? {
    guard isInSources || isInTests else { return nil }
    let grouping: Set<Substring> = ["Devices", "Tiers", "Shims"]
    return folders.dropFirst().first { !grouping.contains($0) }
  }

  /// Whether an ordinary comment with words stands on the line or on the one above.
  func hasReason(beside line: Int) -> Bool { reasonLines.contains(line) || reasonLines.contains(line - 1) }
}
