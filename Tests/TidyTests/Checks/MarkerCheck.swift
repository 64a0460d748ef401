/// Work that is left is done, or an issue; not a mark in the code.
struct MarkerCheck: Check {
  static let markers: Set<Substring> = ["TODO", "FIXME", "XXX", "HACK"]

  let rule = "has no work left as a mark in the code"

  func findings(in file: SourceFile) -> [Finding] {
    // Prose may talk about marks.
    guard !file.path.hasSuffix(".md") else { return [] }
    guard file.language == nil else {
      return file.comments.flatMap { Self.findings(in: $0.text, path: file.path, firstLine: $0.firstLine) }
    }
    return Self.findings(in: file.text, path: file.path, firstLine: 1)
  }

  private static func findings(in text: String, path: String, firstLine: Int) -> [Finding] {
    guard markers.contains(where: { text.contains($0) }) else { return [] }
    var findings: [Finding] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
      for word in words where markers.contains(word) {
        findings.append(
          Finding(
            path: path, line: firstLine + index, message: "\(word): do it now, or open an issue and remove the mark"))
      }
    }
    return findings
  }
}
