import CRoostVendors
import RoostDevice
import RoostPrimitives

/// A driver library that was found, with its functions.
typealias CUDALibrary = RuntimeLibrary<roost_cuda>

extension CUDAVendor {
  /// Opens the vendor's library.
  ///
  /// - Throws: `notFound` if there is none; `unsupported`, naming the function, if it lacks one, or if it is another
  ///   vendor's.
  func library(path: String?) throws(RoostError) -> CUDALibrary {
    let prefix = self.prefix
    var vendor = RuntimeVendor<roost_cuda>(
      name, prefix: prefix, libraries: libraries,
      load: { roost_symbols_load($0, prefix, roost_cuda_symbols(), $1) }, code: Self.code)
    vendor.text = { table, result in
      var name: UnsafePointer<CChar>?
      return table.pointee.error_name(result, &name) == 0 ? name.map { String(cString: $0) } : nil
    }
    vendor.advice = Self.advice
    let library = try CUDALibrary(vendor, path: path, empty: roost_cuda())
    try refuseForeign(library)
    return library
  }

  /// Kunlun ships a library under NVIDIA's name; its real path tells.
  private func refuseForeign(_ library: CUDALibrary) throws(RoostError) {
    var bytes = [CChar](repeating: 0, count: 4096)
    guard roost_symbol_file(library.handle, prefix + "Init", &bytes, bytes.count) else { return }
    let path = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let part = foreignPathParts.first(where: { path.contains($0) }) else { return }
    throw RoostError(
      .unsupported, "\(path) is not \(name)'s driver, although it has its name ('\(part)' in its path)")
  }

  /// Numbers of cuda.h.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
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
  }

  private static let advice: [CInt: String] = [
    34: "this is the library of a development kit, not of a driver; install the driver",
    100: "the driver sees no device; look at nvidia-smi and at CUDA_VISIBLE_DEVICES",
    802: "the system is not ready; the fabric manager may not be running",
    803: "the driver's library and its kernel module are of different versions; reboot",
  ]
}
