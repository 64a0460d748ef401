import DeviceCPU
import DeviceMock
import RoostBlocks
import RoostDevice
import RoostPrimitives

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
