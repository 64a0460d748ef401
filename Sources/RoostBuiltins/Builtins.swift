import DeviceCPU
import DeviceMock
import RoostBlocks
import RoostDevice
import RoostPrimitives
import RoostStorage
import TierDisk

/// The one list of what is built in.
public enum Builtins {
  /// A registry with the built-in devices, to which others may be added.
  public static func devices() -> DeviceRegistry {
    let registry = DeviceRegistry()
    registry.register("cpu") { (index: Int) throws(RoostError) -> any Device in
      try CPUDevice(CPUDeviceConfiguration(index: index))
    }
    registry.register("mock") { (index: Int) throws(RoostError) -> any Device in
      try MockDevice(MockDeviceConfiguration(seed: UInt64(index)))
    }
    return registry
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
