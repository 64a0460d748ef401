/// What is known of one accelerator's maker stays in its device's folder, its shim, and the list of what is built in:
/// everything else works for all of them, the ones that nobody has heard of yet included.
struct VendorCheck: Check {
  let rule = "names no maker of accelerators in Sources/ outside Devices/, Shims/ and RoostBuiltins/"

  /// Makers, and what they call their runtimes.
  static let words: Set<String> = [
    "nvidia", "cuda", "nccl", "amd", "hip", "rocm", "hygon", "musa", "ascend", "cann", "kunlun", "xpu", "npu", "bkcl",
    "hccl",
  ]

  func findings(in file: SourceFile) -> [Finding] {
    let isPlaceForThem = ["Devices", "Shims", "RoostBuiltins"].contains(file.folders.dropFirst().first ?? "")
    guard file.isInSources, !isPlaceForThem else { return [] }
    var findings: [Finding] = []
    for (index, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      for word in Self.parts(of: line) where Self.words.contains(word) {
        let message = "'\(word)' belongs to one maker: say it in its device's folder, or say what it is in general"
        findings.append(Finding(path: file.path, line: index + 1, message: message))
      }
    }
    return findings
  }

  /// The words of a line in lower case, names in camel case taken apart.
  static func parts(of line: Substring) -> [String] {
    var parts: [String] = []
    var part = ""
    var last: Character = " "
    for character in line {
      let begins = character.isUppercase && last.isLowercase
      if !character.isLetter || begins {
        if !part.isEmpty { parts.append(part.lowercased()) }
        part = ""
      }
      if character.isLetter { part.append(character) }
      last = character
    }
    return part.isEmpty ? parts : parts + [part.lowercased()]
  }
}
