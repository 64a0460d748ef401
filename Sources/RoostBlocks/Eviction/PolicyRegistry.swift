import RoostPrimitives
import Synchronization

/// A kind of eviction policy: its name and how to make one.
public struct PolicyFactory: Sendable {
  /// The name on a command line: `lru`.
  public let name: String
  /// Records the table must have for each slot: 1, and one more for each ghost that the policy keeps a slot.
  public let recordsPerSlot: Int
  /// Records beyond that: the blocks of one request, which a policy with ghosts sees before it gives old ones up.
  public let recordsPerRequest: Int
  /// Makes the policy of one slot class for record numbers below the given count.
  public let make: @Sendable (_ recordCount: Int) throws(RoostError) -> any EvictionPolicy

  /// Names a kind of policy.
  public init(
    name: String, recordsPerSlot: Int, recordsPerRequest: Int = 0,
    make: @escaping @Sendable (_ recordCount: Int) throws(RoostError) -> any EvictionPolicy
  ) {
    self.name = name
    self.recordsPerSlot = recordsPerSlot
    self.recordsPerRequest = recordsPerRequest
    self.make = make
  }
}

/// Finds eviction policies by name. Thread-safe. `RoostBuiltins` fills one with the built-in policies.
public final class PolicyRegistry: Sendable {
  private let factories = Locked<[PolicyFactory]>([])

  /// Makes an empty registry.
  public init() {}

  /// Adds a kind of policy. A second one of the same name replaces the first, so that a plug-in can.
  public func register(_ factory: PolicyFactory) {
    factories.withLock { list in
      list.removeAll { $0.name == factory.name }
      list.append(factory)
    }
  }

  /// The names that are registered, oldest first.
  public var names: [String] { factories.withLock { $0.map(\.name) } }

  /// The kind of policy with this name.
  ///
  /// - Throws: `notFound`; the message lists the known ones.
  public func factory(named name: String) throws(RoostError) -> PolicyFactory {
    guard let factory = factories.withLock({ list in list.last { $0.name == name } }) else {
      let known = names.joined(separator: ", ")
      throw RoostError(.notFound, "there is no eviction policy '\(name)'; this build has: \(known)")
    }
    return factory
  }
}
