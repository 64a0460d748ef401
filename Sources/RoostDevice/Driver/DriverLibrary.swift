import Glibc
import RoostPrimitives

/// A vendor's shared library that was found and opened. Never closed: drivers leave threads behind. A plain value.
public struct DriverLibrary: Sendable {
  /// The name or path that it was opened by.
  public let path: String
  private let address: UInt

  /// What `dlsym` takes.
  public var handle: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: address) }

  /// Opens the first library that exists.
  ///
  /// - Throws: `notFound` with what was tried and why it failed.
  public init(firstOf names: [String], vendor: String) throws(RoostError) {
    var reasons: [String] = []
    for name in names {
      if let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) {
        address = UInt(bitPattern: handle)
        path = name
        return
      }
      reasons.append(dlerror().map { String(cString: $0) } ?? "\(name): cannot be opened")
    }
    throw RoostError(
      .notFound, "no driver library of \(vendor) was found",
      context: [("tried", reasons.joined(separator: "; "))])
  }
}
