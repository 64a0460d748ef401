import RoostPrimitives
import Synchronization

/// Opens devices by name. Thread-safe. `RoostBuiltins` fills one with the built-in devices.
public final class DeviceRegistry: Sendable {
  /// Makes the device with the given index, or says why it cannot.
  public typealias Factory = @Sendable (_ index: Int) throws(RoostError) -> any Device

  private let factories = Locked<[(scheme: String, factory: Factory)]>([])

  /// Makes an empty registry.
  public init() {}

  /// Adds a kind of device. A second factory of the same scheme replaces the first, so that a plug-in can.
  public func register(_ scheme: String, _ factory: @escaping Factory) {
    factories.withLock { list in
      list.removeAll { $0.scheme == scheme }
      list.append((scheme, factory))
    }
  }

  /// The schemes that are registered, oldest first.
  public var schemes: [String] { factories.withLock { $0.map(\.scheme) } }

  /// Opens a device by its URI: `cpu`, `cpu:0`, `cuda:1`.
  ///
  /// - Throws: `invalidInput` for a malformed URI, `notFound` for an unknown scheme (the message lists the known
  ///   ones), or what the factory throws.
  public func open(_ uri: String) throws(RoostError) -> any Device {
    let parts = uri.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let scheme = String(parts[0])
    guard let index = parts.count == 1 ? 0 : Int(parts[1]), index >= 0 else {
      throw RoostError(.invalidInput, "'\(uri)' does not name a device; write a kind and a number, such as cpu:0")
    }
    guard let factory = factories.withLock({ list in list.last { $0.scheme == scheme }?.factory }) else {
      let known = schemes.joined(separator: ", ")
      throw RoostError(.notFound, "there is no device of the kind '\(scheme)'; this build has: \(known)")
    }
    return try factory(index)
  }
}
