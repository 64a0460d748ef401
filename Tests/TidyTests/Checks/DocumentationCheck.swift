/// Whatever another module can name says what it is.
struct DocumentationCheck: Check {
  let rule = "documents every public symbol"

  func findings(in file: SourceFile) -> [Finding] {
    guard file.isInSources else { return [] }
    var findings: [Finding] = []
    for declaration in file.declarations where !declaration.isDocumented {
      guard ![.import, .extension, .deinit].contains(declaration.kind) else { continue }
      guard Self.isPublic(declaration, among: file.declarations) else { continue }
      let message = "public \(declaration.kind.rawValue) \(declaration.name) has no documentation comment"
      findings.append(Finding(path: file.path, line: declaration.line, message: message))
    }
    return findings
  }

  private static func isPublic(_ declaration: Declaration, among all: [Declaration]) -> Bool {
    let modifiers = Set(declaration.modifiers)
    if !modifiers.isDisjoint(with: ["public", "open"]) { return true }
    if !modifiers.isDisjoint(with: ["private", "fileprivate", "internal", "package"]) { return false }
    guard let parent = declaration.parent.map({ all[$0] }) else { return false }
    switch parent.kind {
    case .protocol: return isPublic(parent, among: all)
    case .enum: return declaration.kind == .case && isPublic(parent, among: all)
    case .extension: return parent.modifiers.contains("public")
    default: return false
    }
  }
}
