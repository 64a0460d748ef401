/// How a CPU device behaves; the defaults are right except in tests.
public struct CPUDeviceConfiguration: Sendable {
  /// The number in the device's URI.
  public var index: Int
  /// How much memory it claims to have; nil: what the machine has.
  public var memoryBytes: Int?
  /// Reported as the device's `efficientRunBytes`. The CPU copies every run length well, so 0; tests set it to force
  /// the staged path that accelerators need.
  public var efficientRunBytes: Int
  /// Whether device and host memory ask for huge pages.
  public var usesHugePages: Bool
  /// Whether `allocate` populates the memory, as an accelerator's memory is: copies then never take page faults.
  public var populates: Bool
  /// The copy loop by its number in the C shim (`roost_copy_variant_name`); nil: the best of this processor.
  public var copyVariant: Int?
  /// How long idle streams and waiters spin before they sleep; nil: 50 us, or 0 on a single processor.
  public var spinNanoseconds: UInt64?
  /// How long a member of a collective waits for the others.
  public var collectiveSeconds: Double = 30

  /// The standard configuration with exceptions.
  public init(
    index: Int = 0, memoryBytes: Int? = nil, efficientRunBytes: Int = 0, usesHugePages: Bool = true,
    populates: Bool = true, copyVariant: Int? = nil, spinNanoseconds: UInt64? = nil
  ) {
    self.index = index
    self.memoryBytes = memoryBytes
    self.efficientRunBytes = efficientRunBytes
    self.usesHugePages = usesHugePages
    self.populates = populates
    self.copyVariant = copyVariant
    self.spinNanoseconds = spinNanoseconds
  }
}
