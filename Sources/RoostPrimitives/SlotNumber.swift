/// The number of a slot in the pool: dense from 0, the same in every process that attaches the pool. Which reuse of
/// the slot is meant says the generation that stands beside it.
public struct SlotNumber: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt32
  /// Wraps a number that the pool gave out.
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
}
