import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives

/// NVIDIA's GPUDirect Storage, where somebody asked for it: some versions never return from being opened. Every call is made
/// on a thread of its own and has a deadline; after one that did not return there are no more. Thread-safe.
final class CUDADirectStorage: Sendable {
  private let library: RuntimeLibrary<roost_cufile>
  private let seconds: Double
  private let isHung = Locked(false)

  /// Opens the library and its driver, in a context of a device that exists.
  ///
  /// - Throws: why it cannot be used.
  init(_ path: String, seconds: Double, in driver: CUDADriver.Context) throws(RoostError) {
    let vendor = RuntimeVendor<roost_cufile>(
      "GPUDirect Storage", prefix: "cuFile", libraries: [],
      load: { roost_symbols_load($0, "cuFile", roost_cufile_symbols(), $1) }, code: Self.code)
    library = try RuntimeLibrary(vendor, path: path, empty: roost_cufile())
    self.seconds = seconds
    _ = try run("cuFileDriverOpen", in: driver) { roost_cufile_open($0) }
  }

  /// Moves bytes. Returns how many; fewer only at the end of a file.
  func transfer(
    _ isWrite: Bool, _ descriptor: CInt, _ offset: Int, _ address: UInt, _ byteCount: Int, in driver: CUDADriver.Context
  ) throws(RoostError) -> Int {
    guard offset >= 0, byteCount >= 0, address != 0, !offset.addingReportingOverflow(byteCount).overflow else {
      throw RoostError(
        .invalidInput, "a file cannot be read or written there",
        context: [("offset", "\(offset)"), ("bytes", "\(byteCount)")])
    }
    // A descriptor of our own: if the call hangs, the caller's number may mean another file by the time it wakes.
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { throw RoostError(.invalidInput, "\(descriptor) is no open file") }
    return try run(isWrite ? "cuFileWrite" : "cuFileRead", in: driver) { table in
      defer { close(own) }
      return roost_cufile_transfer(table, isWrite ? 1 : 0, own, address, byteCount, Int64(offset))
    }
  }

  private func run(
    _ what: String, in context: CUDADriver.Context,
    _ body: @escaping @Sendable (UnsafePointer<roost_cufile>) -> roost_cufile_result
  ) throws(RoostError) -> Int {
    guard !isHung.withLock({ $0 }) else {
      throw RoostError(.unsupported, "GPUDirect Storage hung before; it is not asked again")
    }
    let library = library
    do throws(RoostError) {
      return try SideCall.run(what, until: .after(seconds: seconds)) { () throws(RoostError) in
        let result = try context.run { body(library.table) }
        if result.error == 0 { return Int(result.moved) }
        let function = result.call.map { String(cString: $0) } ?? what
        if result.error < 0 {
          if result.error == -EBADF { throw RoostError(.invalidInput, "the file is not open for this") }
          throw .system("cuFile\(function)", -result.error, "a file cannot be read or written")
        }
        throw RoostError(
          Self.code(result.error), "cuFile\(function) failed: error \(result.error)",
          context: [("library", library.path), ("driver's error", "\(result.driver_error)")])
      }
    } catch {
      if error.code == .timedOut { isHung.withLock { $0 = true } }
      throw error
    }
  }

  /// Numbers of cufile.h.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
    switch result {
    case 5001, 5009, 5033: .notFound
    case 5007, 5008, 5038: .unsupported
    case 5020, 5022: .invalidInput
    case 5036, 5037: .outOfResources
    default: .system
    }
  }
}

extension CUDADriver {
  /// Reads a file. See `Device`.
  public func readFile(
    descriptor: CInt, fileOffset: Int, into address: UInt, byteCount: Int
  ) throws(RoostError) -> Int {
    guard let storage else { throw RoostError(.unsupported, "\(description.uri) does not offer direct-storage") }
    return try storage.transfer(false, descriptor, fileOffset, address, byteCount, in: runtime)
  }

  /// Writes a file. See `Device`.
  public func writeFile(
    descriptor: CInt, fileOffset: Int, from address: UInt, byteCount: Int
  ) throws(RoostError) {
    guard let storage else { throw RoostError(.unsupported, "\(description.uri) does not offer direct-storage") }
    _ = try storage.transfer(true, descriptor, fileOffset, address, byteCount, in: runtime)
  }
}
