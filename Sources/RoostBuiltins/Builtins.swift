import DeviceAscend
import DeviceCPU
import DeviceCUDA
import DeviceHIP
import DeviceKunlun
import DeviceMock
import DevicePlugin
import Glibc
import RoostBlocks
import RoostDevice
import RoostPrimitives
import RoostStorage
import TierDisk

/// The one list of what is built in.
public enum Builtins {
  /// A registry with the built-in devices and the plug-ins that ROOST_DEVICE_PLUGINS lists, to which others may be added.
  ///
  /// Vendors' libraries are opened when a device is asked for. ROOST_CUDA_LIBRARY and the like name a library that is not
  /// where the vendor installs it.
  public static func devices() -> DeviceRegistry {
    let registry = DeviceRegistry()
    registry.register(
      DeviceKind("cpu", vendor: "host", isAccelerator: false) { (index) throws(RoostError) in
        guard index == 0 else { throw RoostError(.notFound, "there is no device cpu:\(index); the processor is cpu:0") }
        return try CPUDevice(CPUDeviceConfiguration(index: index))
      })
    registry.register(
      DeviceKind("mock", vendor: "none", isAccelerator: false, isListed: false) { (index) throws(RoostError) in
        try MockDevice(MockDeviceConfiguration(seed: UInt64(index)))
      })
    registry.register(
      vendor(
        "kunlun", "Baidu", count: KunlunDriver.deviceCount,
        open: { (index, path) throws(RoostError) in try KunlunDriver(index: index, library: path) }))
    registry.register(
      vendor(
        "ascend", "Huawei", count: AscendDriver.deviceCount,
        open: { (index, path) throws(RoostError) in try AscendDriver(index: index, library: path) }))
    registry.register(
      vendor(
        "hip", "AMD", count: HIPDriver.deviceCount,
        open: { (index, path) throws(RoostError) in try HIPDriver(index: index, library: path) }))
    for maker in [CUDAVendor.mooreThreads, .nvidia] {
      registry.register(
        vendor(
          maker.scheme, maker.name,
          count: { (path) throws(RoostError) in try CUDADriver.deviceCount(maker, library: path) },
          open: { (index, path) throws(RoostError) in
            var configuration = CUDADeviceConfiguration(index: index, vendor: maker, library: path)
            if maker.readsPTX {
              configuration.collectiveLibrary = variable("ROOST_NCCL_LIBRARY")
              configuration.directStorageLibrary = variable("ROOST_CUFILE_LIBRARY")
            }
            return try CUDADriver(configuration)
          }))
    }
    for path in (variable("ROOST_DEVICE_PLUGINS") ?? "").split(separator: ":") {
      registry.register(PluginLibrary.kind(path: String(path)))
    }
    return registry
  }

  /// A mock as somebody wants it, for tests of their own.
  public static func mock(_ wish: MockWish) throws(RoostError) -> any Device {
    var configuration = MockDeviceConfiguration(seed: wish.seed)
    configuration.memoryBytes = wish.memoryBytes
    if let capabilities = wish.capabilities { configuration.capabilities = capabilities }
    configuration.efficientRunBytes = wish.efficientRunBytes
    return try MockDevice(configuration)
  }

  /// A kind of device whose driver is a vendor's library, which ROOST_<SCHEME>_LIBRARY may name.
  private static func vendor<Driver: DeviceDriver>(
    _ scheme: String, _ name: String, count: @escaping @Sendable (_ library: String?) throws(RoostError) -> Int,
    open: @escaping @Sendable (_ index: Int, _ library: String?) throws(RoostError) -> Driver
  ) -> DeviceKind {
    let library = variable("ROOST_\(scheme.uppercased())_LIBRARY")
    return DeviceKind(
      scheme, vendor: name, count: { () throws(RoostError) in try count(library) },
      open: { (index) throws(RoostError) in DrivenDevice(try open(index, library)) })
  }

  private static func variable(_ name: String) -> String? {
    guard let text = getenv(name).map({ String(cString: $0) }), !text.isEmpty else { return nil }
    return text
  }

  /// A registry with the built-in tiers, to which others may be added. A disk may evict by any of these policies.
  public static func tiers(policies: PolicyRegistry = policies()) -> TierRegistry {
    let registry = TierRegistry()
    registry.register("disk") { (address: TierAddress) throws(RoostError) -> any Tier in
      try DiskTier.open(address, orders: PolicyOrder.kinds(policies))
    }
    registry.register("memory") { (address: TierAddress) throws(RoostError) -> any Tier in
      try address.refuseOptions(except: ["capacity"])
      return MemoryTier(capacity: try address.size("capacity") ?? .gibibytes(1))
    }
    return registry
  }

  /// The policies as orders of a disk tier, `lru` excepted: that one is the tier's own.
  public static func diskOrders(_ policies: PolicyRegistry = policies()) -> [EvictionOrderKind] {
    PolicyOrder.kinds(policies)
  }

  /// A registry with the built-in eviction policies, to which others may be added.
  public static func policies() -> PolicyRegistry {
    let registry = PolicyRegistry()
    registry.register(HazardIndex.factory)
    registry.register(LeastRecentlyUsed.factory)
    registry.register(AdaptiveReplacement.factory)
    registry.register(SmallMainGhost.factory)
    registry.register(FirstInFirstOut.factory)
    return registry
  }
}
