import RoostPrimitives

/// Opens tiers by address. Thread-safe. `RoostBuiltins` fills one with the built-in tiers.
public final class TierRegistry: Sendable {
  /// Makes the tier at an address, not recovered yet, or says why it cannot.
  public typealias Factory = @Sendable (_ address: TierAddress) throws(RoostError) -> any Tier

  private let factories = Locked<[(scheme: String, factory: Factory)]>([])

  /// Makes an empty registry.
  public init() {}

  /// Adds a kind of tier. A second factory of the same scheme replaces the first, so that a plug-in can.
  public func register(_ scheme: String, _ factory: @escaping Factory) {
    factories.withLock { list in
      list.removeAll { $0.scheme == scheme }
      list.append((scheme, factory))
    }
  }

  /// The schemes that are registered, oldest first.
  public var schemes: [String] { factories.withLock { $0.map(\.scheme) } }

  /// Opens a tier by its URI: `disk:///var/lib/roost?capacity=500GiB`.
  ///
  /// - Throws: `invalidInput` for a malformed address, `notFound` for an unknown scheme (the message lists the known
  ///   ones), or what the factory throws.
  public func open(_ address: String) throws(RoostError) -> any Tier {
    let address = try TierAddress(parsing: address)
    guard let factory = factories.withLock({ list in list.last { $0.scheme == address.scheme }?.factory }) else {
      let known = schemes.joined(separator: ", ")
      throw RoostError(.notFound, "there is no tier of the kind '\(address.scheme)'; this build has: \(known)")
    }
    return try factory(address)
  }
}
