import RoostDevice

/// What a caller may choose of a mock device, without knowing the mock.
public struct MockWish: Sendable {
  /// Decides the order in which streams advance, and how copies are cut.
  public var seed: UInt64
  /// How much memory it has, in bytes.
  public var memoryBytes = 64 << 20
  /// What it offers; nil: all that a mock can, but for host-addressable memory.
  public var capabilities: Capabilities?
  /// The shortest run, in bytes, that it calls efficient.
  public var efficientRunBytes = 0

  /// The usual mock under a seed.
  public init(seed: UInt64) { self.seed = seed }
}
