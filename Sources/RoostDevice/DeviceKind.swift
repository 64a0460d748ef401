import RoostPrimitives

/// A kind of device that a registry can open: one for each vendor and plug-in.
public struct DeviceKind: Sendable {
  /// Makes the device with the given index, or says why it cannot.
  public typealias Factory = @Sendable (_ index: Int) throws(RoostError) -> any Device

  /// The first part of its devices' URIs.
  public var scheme: String
  /// Who makes them.
  public var vendor: String
  /// Whether a search for an accelerator looks here.
  public var isAccelerator: Bool
  /// Whether lists show it; false for what is there for tests alone.
  public var isListed: Bool
  /// How many devices there are; at least one, or the reason why there is none.
  public var count: @Sendable () throws(RoostError) -> Int
  /// Opens one.
  public var open: Factory

  /// Describes a kind.
  public init(
    _ scheme: String, vendor: String, isAccelerator: Bool = true, isListed: Bool = true,
    count: @escaping @Sendable () throws(RoostError) -> Int = { 1 }, open: @escaping Factory
  ) {
    self.scheme = scheme
    self.vendor = vendor
    self.isAccelerator = isAccelerator
    self.isListed = isListed
    self.count = count
    self.open = open
  }
}

/// A device that was found, or a kind of which none was, and why.
public struct DeviceFinding: Sendable {
  /// The device's URI; the scheme alone if there is no device.
  public var uri: String
  /// Who makes it.
  public var vendor: String
  /// The device, or the reason.
  public var result: Result<any Device, RoostError>

  /// Why it cannot be used; empty if it can.
  public var reason: String {
    guard case .failure(let error) = result else { return "" }
    return error.description
  }
}
