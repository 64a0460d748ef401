/// A copy goes from a source to a target, and both words are written out.
struct DirectionCheck: Check {
  static let replacements = ["src": "source", "dst": "target"]

  let rule = "calls the ends of a copy source and target"

  func findings(in file: SourceFile) -> [Finding] {
    var findings: [Finding] = []
    for token in file.tokens where token.kind == .identifier {
      guard token.text.contains("rc") || token.text.contains("st") || token.text.contains("S") else { continue }
      for word in CamelCase.words(of: token.text) {
        // A foreign field (zstd's buffers have such) passes with a comment beside it.
        guard let replacement = Self.replacements[word], !file.hasReason(beside: token.line) else { continue }
        let message = "\(token.text): write '\(replacement)' for '\(word)', or say beside it whose name it is"
        findings.append(Finding(path: file.path, line: token.line, message: message))
      }
    }
    return findings
  }
}
