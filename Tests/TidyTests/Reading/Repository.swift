import Foundation

/// The working tree: every file that is, or is about to be, committed.
struct Repository {
  let files: [SourceFile]

  init(files: [SourceFile]) { self.files = files }

  /// The tree that these tests were built from. Read once.
  static let here = Repository(
    root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent())

  init(root: URL) {
    let ignored = IgnoredNames(
      patterns: (try? String(contentsOf: root.appending(path: ".gitignore"), encoding: .utf8)) ?? "")
    var files: [SourceFile] = []
    var folders = [""]
    while let folder = folders.popLast() {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path + "/" + folder)) ?? []
      for name in names.sorted() where !ignored.contains(name) {
        let path = folder + name
        if (try? root.appending(path: path).resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true {
          folders.append(path + "/")
        } else if let text = Self.text(at: root.appending(path: path)) {
          files.append(SourceFile(path: path, text: text))
        }
      }
    }
    self.files = files
  }

  /// Nil if it is not text.
  private static func text(at url: URL) -> String? {
    guard let data = try? Data(contentsOf: url), !data.contains(0) else { return nil }
    return String(data: data, encoding: .utf8)
  }
}

/// The simple half of .gitignore: `name/` and `*.extension`, anywhere in the tree.
struct IgnoredNames {
  private var names: Set<String> = [".git"]
  private var extensions: [String] = []

  init(patterns: String) {
    for line in patterns.split(separator: "\n") where !line.hasPrefix("#") {
      var pattern = String(line)
      while pattern.hasSuffix("/") { pattern.removeLast() }
      if pattern.hasPrefix("*.") {
        extensions.append(String(pattern.dropFirst()))
      } else {
        names.insert(pattern)
      }
    }
  }

  func contains(_ name: String) -> Bool { names.contains(name) || extensions.contains { name.hasSuffix($0) } }
}
