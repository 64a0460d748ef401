import CRoostVendors
import Glibc
import RoostPrimitives

/// A driver library that was found, with its functions. Never unloaded: drivers leave threads behind.
final class CUDALibrary: @unchecked Sendable {
  /// The functions. Written in the initialiser only.
  let table: UnsafePointer<roost_cuda>
  let vendor: CUDAVendor
  /// The name or path that it was opened by.
  let path: String
  private let storage: UnsafeMutablePointer<roost_cuda>

  /// Opens the first library that exists and has what is required.
  ///
  /// - Throws: `notFound` if there is no such library; `unsupported`, naming the function, if it lacks one, or if it is
  ///   another vendor's.
  init(_ vendor: CUDAVendor, path wanted: String?) throws(RoostError) {
    self.vendor = vendor
    var opened: (handle: UnsafeMutableRawPointer, path: String)?
    var reasons: [String] = []
    for name in wanted.map({ [$0] }) ?? vendor.libraries {
      if let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) {
        opened = (handle, name)
        break
      }
      reasons.append(dlerror().map { String(cString: $0) } ?? "\(name): cannot be opened")
    }
    guard let opened else {
      throw RoostError(
        .notFound, "no driver library of \(vendor.name) was found",
        context: [("tried", reasons.joined(separator: "; "))])
    }
    path = opened.path
    storage = .allocate(capacity: 1)
    storage.initialize(to: roost_cuda())
    table = UnsafePointer(storage)
    if let missing = roost_symbols_load(opened.handle, vendor.prefix, roost_cuda_symbols(), storage) {
      throw RoostError(
        .unsupported,
        "\(opened.path) lacks the function \(vendor.prefix)\(String(cString: missing)): it is too old, or not a driver")
    }
    try refuseForeign(opened.handle)
  }

  deinit {
    storage.deinitialize(count: 1)
    storage.deallocate()
  }

  /// Kunlun ships a library under NVIDIA's name; its real path tells.
  private func refuseForeign(_ handle: UnsafeMutableRawPointer) throws(RoostError) {
    var bytes = [CChar](repeating: 0, count: 4096)
    guard roost_symbol_file(handle, vendor.prefix + "Init", &bytes, bytes.count) else { return }
    let path = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let part = vendor.foreignPathParts.first(where: { path.contains($0) }) else { return }
    throw RoostError(
      .unsupported, "\(path) is not \(vendor.name)'s driver, although it has its name ('\(part)' in its path)")
  }

  /// Throws if a function failed.
  @inline(__always)
  func check(_ result: CInt, _ function: @autoclosure () -> String) throws(RoostError) {
    if result != 0 { throw error(result, function()) }
  }

  /// What a result says, with the function's name. Numbers of cuda.h.
  func error(_ result: CInt, _ function: String) -> RoostError {
    let code: RoostError.Code =
      switch result {
      case 1, 400: .invalidInput
      case 2: .outOfResources
      case 3, 34, 46, 100, 101, 802, 803, 804: .notFound
      case 214, 220, 226, 700, 702, 709, 710, 714...719, 721, 999: .lost
      case 712: .busy
      case 713: .stale
      case 801: .unsupported
      default: .system
      }
    var name: UnsafePointer<CChar>?
    let known = table.pointee.error_name(result, &name) == 0 ? name.map { String(cString: $0) } : nil
    let meaning = Self.advice[result].map { "; \($0)" } ?? ""
    return RoostError(
      code, "\(vendor.prefix)\(function) failed: \(known ?? "error \(result)")\(meaning)",
      context: [("library", path), ("result", "\(result)")])
  }

  private static let advice: [CInt: String] = [
    34: "this is the library of a development kit, not of a driver; install the driver",
    100: "the driver sees no device; look at nvidia-smi and at CUDA_VISIBLE_DEVICES",
    802: "the system is not ready; the fabric manager may not be running",
    803: "the driver's library and its kernel module are of different versions; reboot",
  ]
}
