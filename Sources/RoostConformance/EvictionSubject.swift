import RoostBlocks
import RoostPrimitives

/// A policy to be asked.
public struct EvictionSubject: Sendable, CustomStringConvertible {
  /// Makes a naive model for that many slots.
  public typealias Model = @Sendable (_ slots: Int) -> any EvictionModel

  /// The policy.
  public let policy: PolicyFactory
  /// Its naive model, nil: there is none.
  public let model: Model?

  /// Names a policy and, where one exists, its model.
  public init(_ policy: PolicyFactory, model: Model? = nil) {
    self.policy = policy
    self.model = model
  }

  /// The policy's name.
  public var description: String { policy.name }
}

/// The same policy written for reading, not for speed.
public protocol EvictionModel {
  /// A request stores its blocks, head to tail; none twice, none held.
  mutating func store(_ keys: [Key])
  /// The blocks that are in the cache now.
  var residents: Set<Key> { get }
}
