/// Imports follow the map, and the map, the folders and Package.swift name the same modules.
struct ImportCheck: Check {
  let rule = "imports only what the map allows"

  func findings(in file: SourceFile) -> [Finding] {
    guard file.language == .swift, let module = file.module.map(String.init) else { return [] }
    var findings: [Finding] = []
    for declaration in file.declarations where declaration.kind == .import {
      if let objection = Self.objection(to: declaration.name, in: module, isTest: file.isInTests) {
        findings.append(Finding(path: file.path, line: declaration.line, message: objection))
      }
    }
    return findings
  }

  private static func objection(to name: String, in module: String, isTest: Bool) -> String? {
    if isTest {
      let isAllowed = ModuleMap.testing.contains(name) || ModuleMap.rows[name] != nil
      return isAllowed ? nil : "a test imports \(name), which is neither ours nor in ModuleMap.testing"
    }
    // A module without a row is reported once, by its folder.
    guard let row = ModuleMap.rows[module], !row.contains(name), !ModuleMap.system.contains(name) else { return nil }
    return "\(module) must not import \(name): its row in ModuleMap allows \(row.sorted().joined(separator: ", "))"
  }

  func findings(in repository: Repository) -> [Finding] {
    let sources = Set(repository.files.filter(\.isInSources).compactMap { $0.module.map(String.init) })
    var findings = sources.subtracting(ModuleMap.rows.keys).sorted().map {
      Finding(path: "Sources/\($0)", line: 1, message: "module \($0) has no row in ModuleMap")
    }
    findings += Set(ModuleMap.rows.keys).subtracting(sources).sorted().map {
      Finding(path: "Tests/TidyTests/Checks/ModuleMap.swift", line: 1, message: "\($0) has a row but no sources")
    }
    for file in repository.files where file.path == "Package.swift" { findings += Self.findings(inManifest: file) }
    return findings
  }

  /// Rows of Package.swift, written `module("Name", ["Dependency", ...])`, that declare more than the map allows.
  static func findings(inManifest file: SourceFile) -> [Finding] {
    let tokens = file.tokens
    var findings: [Finding] = []
    for (index, token) in tokens.enumerated() where token.isWord("module") && tokens[index + 1].isSymbol("(") {
      guard let row = ModuleMap.rows[tokens[index + 2].text], tokens[index + 2].kind == .string else { continue }
      let list = tokens[index...].drop { !$0.isSymbol("[") }.prefix { !$0.isSymbol("]") }
      for name in list where name.kind == .string && !row.contains(name.text) {
        let message = "\(tokens[index + 2].text) declares the dependency \(name.text), which the map does not allow"
        findings.append(Finding(path: file.path, line: name.line, message: message))
      }
    }
    return findings
  }
}
