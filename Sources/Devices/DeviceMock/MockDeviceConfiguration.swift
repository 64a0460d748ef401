import RoostDevice

/// How a mock device behaves. Two mocks of the same configuration that get the same calls do the same.
public struct MockDeviceConfiguration: Sendable {
  /// What a mock can be made to offer. Without `hostAddressable` its memory is guarded: touching it from the host is a
  /// fault of the processor, as with an accelerator's memory.
  public static let offerable: Capabilities = [
    .hostAddressable, .asynchronousCopy, .batchedCopy, .stridedCopy, .hostRegistration, .eventTiming, .hostCallbacks,
    .streamPriority,
  ]

  /// Decides the order in which streams advance, how far, and how copies are cut.
  public var seed: UInt64
  /// How much memory it has.
  public var memoryBytes = 64 << 20
  /// What it offers; a part of `offerable`.
  public var capabilities = offerable.subtracting(.hostAddressable)
  /// Reported as the device's `efficientRunBytes`.
  public var efficientRunBytes = 0
  /// Copies of host memory that is neither allocated from the device nor registered with it fail: an accelerator would
  /// make them slow or synchronous, which is easily overlooked.
  public var requiresRegisteredHost = false
  /// A call that submits or asks lets the streams advance by a random number of turns, at most this. With 0 only waiting
  /// and `MockDevice.step` make them advance.
  public var turnsPerCallMax = 3
  /// What goes wrong.
  public var faults: [MockFault] = []

  /// The standard configuration under a seed.
  public init(seed: UInt64 = 0) { self.seed = seed }
}
