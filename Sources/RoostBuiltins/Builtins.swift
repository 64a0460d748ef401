import DeviceCPU
import DeviceCUDA
import DeviceHIP
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
        try CPUDevice(CPUDeviceConfiguration(index: index))
      })
    registry.register(
      DeviceKind("mock", vendor: "none", isAccelerator: false, isListed: false) { (index) throws(RoostError) in
        try MockDevice(MockDeviceConfiguration(seed: UInt64(index)))
      })
    registry.register(
      DeviceKind(
        "hip", vendor: "AMD",
        count: { () throws(RoostError) in try HIPDriver.deviceCount(library: variable("ROOST_HIP_LIBRARY")) },
        open: { (index) throws(RoostError) in
          DrivenDevice(try HIPDriver(index: index, library: variable("ROOST_HIP_LIBRARY")))
        }))
    for vendor in [CUDAVendor.mooreThreads, .nvidia] { registry.register(cuda(vendor)) }
    for path in (variable("ROOST_DEVICE_PLUGINS") ?? "").split(separator: ":") {
      registry.register(PluginLibrary.kind(path: String(path)))
    }
    return registry
  }

  private static func cuda(_ vendor: CUDAVendor) -> DeviceKind {
    let library = variable("ROOST_\(vendor.scheme.uppercased())_LIBRARY")
    return DeviceKind(
      vendor.scheme, vendor: vendor.name,
      count: { () throws(RoostError) in try CUDADriver.deviceCount(vendor, library: library) },
      open: { (index) throws(RoostError) in
        DrivenDevice(try CUDADriver(CUDADeviceConfiguration(index: index, vendor: vendor, library: library)))
      })
  }

  private static func variable(_ name: String) -> String? {
    guard let text = getenv(name).map({ String(cString: $0) }), !text.isEmpty else { return nil }
    return text
  }

  /// A registry with the built-in tiers, to which others may be added.
  public static func tiers() -> TierRegistry {
    let registry = TierRegistry()
    registry.register("disk") { (address: TierAddress) throws(RoostError) -> any Tier in try DiskTier.open(address) }
    registry.register("memory") { (address: TierAddress) throws(RoostError) -> any Tier in
      try address.refuseOptions(except: ["capacity"])
      return MemoryTier(capacity: try address.size("capacity") ?? .gibibytes(1))
    }
    return registry
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
