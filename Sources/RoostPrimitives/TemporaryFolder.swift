import Glibc

/// The folder for files that nobody keeps: TMPDIR, else /tmp.
public var temporaryFolder: String {
  let wanted = getenv("TMPDIR").map { String(cString: $0) } ?? ""
  return wanted.isEmpty ? "/tmp" : wanted
}
