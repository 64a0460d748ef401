/// A checkout works on any machine: it names neither the folders of the machine that it was written on nor a package
/// server, which is the business of the user's configuration.
struct PortabilityCheck: Check {
  let rule = "names no folder of one machine and no package server"

  /// Written in pieces, because this file is checked too.
  static let folders = ["work", "root", "home"].map { "/" + $0 + "/" }
  static let hosts = [
    ["pypi", "org"], ["pythonhosted", "org"], ["deb", "debian", "org"], ["debian", "org", "debian"],
    ["archive", "ubuntu", "com"], ["npmjs", "org"], ["npmjs", "com"], ["crates", "io"], ["golang", "org"],
    ["docker", "io"], ["ghcr", "io"], ["quay", "io"], ["anaconda", "org"], ["maven", "org"], ["rubygems", "org"],
  ].map { $0.joined(separator: ".") }

  func findings(in file: SourceFile) -> [Finding] {
    var findings: [Finding] = []
    for (index, line) in file.text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .enumerated()
    {
      // Both need one of these two; most lines have neither.
      guard line.contains(UInt8(ascii: "/")) || line.contains(UInt8(ascii: ".")) else { continue }
      for found in Self.objections(to: String(line) ?? "") {
        findings.append(Finding(path: file.path, line: index + 1, message: found))
      }
    }
    return findings
  }

  static func objections(to line: String) -> [String] {
    var objections: [String] = []
    for folder in folders {
      for range in line.ranges(of: folder) {
        // Behind a letter or a variable it is part of some other path; behind a quote, a colon or a space it is not.
        let before = line[..<range.lowerBound].last
        guard before.map({ !$0.isLetter && !$0.isNumber && !"._-*}])".contains($0) }) ?? true else { continue }
        objections.append("\(folder) is a folder of one machine: find it from the package's own place")
      }
    }
    for host in hosts where line.contains(host) {
      objections.append("\(host) is a package server: leave the choice to the user's configuration")
    }
    return objections
  }
}
