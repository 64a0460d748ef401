import CRoostVendors
import Glibc
import RoostDevice
import RoostPrimitives

/// NVIDIA's NCCL that was found, with its functions.
typealias NCCLLibrary = RuntimeLibrary<roost_nccl>

/// NCCL. Not looked for on the disk: the library is hundreds of MiB, and who needs it has it in the process already, or
/// names it.
enum NCCL {
  private static let names = ["libnccl.so.2"]

  /// The library; nil if nobody named it and the process does not have it.
  ///
  /// - Throws: why the one that was named cannot be used.
  static func find(_ path: String?) throws(RoostError) -> NCCLLibrary? {
    guard path != nil || names.contains(where: { dlopen($0, RTLD_LAZY | RTLD_NOLOAD) != nil }) else { return nil }
    var vendor = RuntimeVendor<roost_nccl>(
      "NCCL", prefix: "nccl", libraries: names, load: { roost_symbols_load($0, "nccl", roost_nccl_symbols(), $1) },
      code: Self.code)
    vendor.text = { table, result in
      table.pointee.error_text != nil ? table.pointee.error_text(result).map { String(cString: $0) } : nil
    }
    let library = try NCCLLibrary(vendor, path: path, empty: roost_nccl())
    var version: CInt = 0
    try library.check(library.table.pointee.version(&version), "GetVersion")
    return library
  }

  /// Numbers of nccl.h.
  @Sendable private static func code(_ result: CInt) -> RoostError.Code {
    switch result {
    case 4, 5: .invalidInput
    case 8: .timedOut
    default: .system
    }
  }
}

/// A communicator of NCCL's.
final class CUDAGroup: DriverGroup {
  private let library: NCCLLibrary
  private let context: CUDADriver.Context
  /// A pointer of NCCL's; valid until `deinit`.
  private let group: UInt

  /// Joins, with the others on this host: the first member's identifier goes over shared memory. On a thread of its own,
  /// because whoever never comes is waited for without end.
  init(
    _ library: NCCLLibrary, _ driver: CUDADriver, rank: Int, rankCount: Int, rendezvous: String
  ) throws(RoostError) {
    self.library = library
    context = driver.runtime
    let context = driver.runtime
    let seconds = driver.configuration.sideSeconds
    let members = try ProcessGroup(rank: rank, rankCount: rankCount, rendezvous: rendezvous, seconds: seconds)
    var own = roost_nccl_id()
    if rank == 0 { try library.check(library.table.pointee.unique_id(&own), "GetUniqueId") }
    let size = MemoryLayout<roost_nccl_id>.size
    let all = UnsafeMutablePointer<roost_nccl_id>.allocate(capacity: rankCount)
    defer { all.deallocate() }
    let gathered = all
    try withUnsafeMutablePointer(to: &own) { own throws(RoostError) in
      try members.allGather(source: UInt(bitPattern: own), target: UInt(bitPattern: gathered), byteCount: size)
    }
    let first = all[0]
    group = try SideCall.run("ncclCommInitRank", until: .after(seconds: seconds)) { () throws(RoostError) -> UInt in
      var group: UnsafeMutableRawPointer?
      let result = try context.run { library.table.pointee.join(&group, CInt(rankCount), first, CInt(rank)) }
      try library.check(result, "CommInitRank")
      return UInt(bitPattern: group)
    }
  }

  /// Leaves. What the others still do with this member fails.
  deinit {
    do throws(RoostError) {
      try call("CommDestroy") { library.table.pointee.leave(pointer(group)) }
    } catch {
      Log.write(.warning, "\(error)")
    }
  }

  func allReduceSum(address: UInt, count: Int, on stream: DriverHandle) throws(RoostError) {
    let (sum, float) = (CInt(ROOST_NCCL_SUM), CInt(ROOST_NCCL_FLOAT))
    try call("AllReduce") {
      library.table.pointee.reduce(
        pointer(address), pointer(address), count, float, sum, pointer(group), pointer(stream))
    }
  }

  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: DriverHandle) throws(RoostError) {
    try call("AllGather") {
      library.table.pointee.gather(
        pointer(source), pointer(target), byteCount, CInt(ROOST_NCCL_BYTE), pointer(group), pointer(stream))
    }
  }

  /// Calls NCCL in the device's context.
  private func call(_ function: String, _ body: () -> CInt) throws(RoostError) {
    try library.check(try context.run(body), function)
  }
}

extension CUDADriver {
  /// Joins a group over NCCL. See `DeviceDriver`.
  public func join(rank: Int, rankCount: Int, rendezvous: String) throws(RoostError) -> any DriverGroup {
    guard let collectives else { throw RoostError(.unsupported, "\(description.uri) does not offer collectives") }
    return try CUDAGroup(collectives, self, rank: rank, rankCount: rankCount, rendezvous: rendezvous)
  }
}
