import Glibc
import RoostPrimitives

/// Who makes a runtime, where its library is found, and what its results mean. A plain value.
public struct RuntimeVendor<Functions>: Sendable {
  /// Fills a table from an opened library; the first required function that is missing, without the prefix, or nil.
  public typealias Loader =
    @Sendable (UnsafeMutableRawPointer?, UnsafeMutablePointer<Functions>) -> UnsafePointer<
      CChar
    >?

  /// The vendor's name.
  public var name: String
  /// What every function's name begins with.
  public var prefix: String
  /// Names under which the library may be found, best first.
  public var libraries: [String]
  /// Looks the functions up.
  public var load: Loader
  /// What kind of error a result is.
  public var code: @Sendable (CInt) -> RoostError.Code
  /// What a result is called, where the runtime can say so.
  public var text: @Sendable (UnsafePointer<Functions>, CInt) -> String? = { _, _ in nil }
  /// What to do about a result.
  public var advice: [CInt: String] = [:]

  /// Describes a vendor.
  public init(
    _ name: String, prefix: String, libraries: [String], load: @escaping Loader,
    code: @escaping @Sendable (CInt) -> RoostError.Code
  ) {
    self.name = name
    self.prefix = prefix
    self.libraries = libraries
    self.load = load
    self.code = code
  }
}

/// A vendor's shared library that was found, with its functions. Never unloaded: runtimes leave threads behind.
public final class RuntimeLibrary<Functions>: @unchecked Sendable {
  /// The functions. Written in the initialiser only.
  public let table: UnsafePointer<Functions>
  /// Whose it is.
  public let vendor: RuntimeVendor<Functions>
  /// The name or path that it was opened by.
  public let path: String
  /// What `dlsym` takes.
  public let handle: UnsafeMutableRawPointer
  private let storage: UnsafeMutablePointer<Functions>

  /// Opens the first library that exists, and fills an empty table.
  ///
  /// - Throws: `notFound` with what was tried if there is no such library; `unsupported`, naming the function, if it lacks
  ///   one that is required.
  public init(_ vendor: RuntimeVendor<Functions>, path wanted: String?, empty: Functions) throws(RoostError) {
    self.vendor = vendor
    (handle, path) = try Self.open(wanted.map { [$0] } ?? vendor.libraries, of: vendor.name)
    storage = .allocate(capacity: 1)
    storage.initialize(to: empty)
    table = UnsafePointer(storage)
    if let missing = vendor.load(handle, storage) {
      throw RoostError(
        .unsupported,
        "\(path) lacks the function \(vendor.prefix)\(String(cString: missing)): it is too old, or not a driver")
    }
  }

  deinit {
    storage.deinitialize(count: 1)
    storage.deallocate()
  }

  private static func open(
    _ names: [String], of vendor: String
  ) throws(RoostError) -> (UnsafeMutableRawPointer, String) {
    var reasons: [String] = []
    for name in names {
      if let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) { return (handle, name) }
      reasons.append(dlerror().map { String(cString: $0) } ?? "\(name): cannot be opened")
    }
    throw RoostError(
      .notFound, "no driver library of \(vendor) was found", context: [("tried", reasons.joined(separator: "; "))])
  }

  /// Throws if a function failed.
  @inlinable @inline(__always)
  public func check(_ result: CInt, _ function: @autoclosure () -> String) throws(RoostError) {
    if result != 0 { throw error(result, function()) }
  }

  /// What a result says, with the function's name.
  public func error(_ result: CInt, _ function: String) -> RoostError {
    let text = vendor.text(table, result) ?? "error \(result)"
    let advice = vendor.advice[result].map { "; \($0)" } ?? ""
    return RoostError(
      vendor.code(result), "\(vendor.prefix)\(function) failed: \(text)\(advice)",
      context: [("library", path), ("result", "\(result)")])
  }

  /// Text that a function writes into a buffer of the given size.
  public func text(
    _ function: String, _ fill: (UnsafeMutablePointer<CChar>?, CInt) -> CInt
  ) throws(RoostError) -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    let result = bytes.withUnsafeMutableBufferPointer { fill($0.baseAddress, CInt($0.count)) }
    try check(result, function)
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// The NUMA node of a PCI address, as the kernel knows it; nil if it does not, or if there is only one.
public func numaNode(ofBus bus: String) -> Int? {
  guard let file = fopen("/sys/bus/pci/devices/\(bus.lowercased())/numa_node", "r") else { return nil }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 32)
  guard fgets(&line, CInt(line.count), file) != nil else { return nil }
  let node = atoi(line)
  return node < 0 ? nil : Int(node)
}
