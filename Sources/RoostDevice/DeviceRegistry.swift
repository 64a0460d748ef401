import Glibc
import RoostPrimitives
import Synchronization

/// Opens devices by name, and finds one where none is named. Thread-safe. `RoostBuiltins` fills one with the built-in
/// devices.
public final class DeviceRegistry: Sendable {
  /// The environment variable that names a device where the caller names none.
  public static let environmentVariable = "ROOST_DEVICE"

  private let list = Locked<[DeviceKind]>([])

  /// Makes an empty registry.
  public init() {}

  /// Adds a kind of device. A second kind of the same scheme replaces the first, so that a plug-in can.
  public func register(_ kind: DeviceKind) {
    list.withLock { list in
      list.removeAll { $0.scheme == kind.scheme }
      list.append(kind)
    }
  }

  /// The kinds that are registered, oldest first.
  public var kinds: [DeviceKind] { list.withLock { $0 } }

  /// The schemes that are registered, oldest first.
  public var schemes: [String] { kinds.map(\.scheme) }

  /// Opens a device by its URI: `cpu`, `cpu:0`; or `auto`, which is `select(nil)`.
  ///
  /// - Throws: `invalidInput` for a malformed URI, `notFound` for an unknown scheme (the message lists what is available,
  ///   and why the rest is not), or why the device cannot be opened.
  public func open(_ uri: String) throws(RoostError) -> any Device {
    if uri == "auto" { return try select(nil) }
    let parts = uri.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let scheme = String(parts[0])
    guard let index = parts.count == 1 ? 0 : Int(parts[1]), index >= 0 else {
      throw RoostError(.invalidInput, "'\(uri)' does not name a device; write a kind and a number, such as cpu:0")
    }
    guard let kind = kinds.last(where: { $0.scheme == scheme }) else {
      throw RoostError(.notFound, "there is no device of the kind '\(scheme)'; \(summary())")
    }
    return try kind.open(index)
  }

  /// Opens a device: the one that is named; else the one that ROOST_DEVICE names; else the first accelerator that can be
  /// opened, the kinds registered last first, so that plug-ins go before what is built in; else the CPU.
  ///
  /// - Throws: as `open`. A search passes over what cannot be opened, and logs why.
  public func select(_ wanted: String?) throws(RoostError) -> any Device {
    if let wanted, wanted != "auto" { return try open(wanted) }
    if let text = getenv(Self.environmentVariable) {
      let named = String(cString: text)
      if !named.isEmpty, named != "auto" { return try open(named) }
    }
    for kind in kinds.reversed() where kind.isAccelerator && kind.isListed {
      do throws(RoostError) {
        return try kind.open(0)
      } catch {
        Log.write(error.code == .notFound ? .debug : .info, "no \(kind.scheme) device: \(error)")
      }
    }
    guard let host = kinds.first(where: { !$0.isAccelerator }) else {
      throw RoostError(.notFound, "there is no device; \(summary())")
    }
    return try host.open(0)
  }

  /// Every device of every listed kind, opened; and for each kind without one, the reason.
  public func survey() -> [DeviceFinding] {
    kinds.filter(\.isListed).flatMap { kind -> [DeviceFinding] in
      do throws(RoostError) {
        let count = try kind.count()
        return (0..<count).map { index in
          let result: Result<any Device, RoostError>
          do throws(RoostError) { result = .success(try kind.open(index)) } catch { result = .failure(error) }
          return DeviceFinding(uri: "\(kind.scheme):\(index)", vendor: kind.vendor, result: result)
        }
      } catch {
        return [DeviceFinding(uri: kind.scheme, vendor: kind.vendor, result: .failure(error))]
      }
    }
  }

  /// What is available, and why the rest is not, in one line.
  private func summary() -> String {
    let findings = survey()
    let available = findings.filter { $0.reason.isEmpty }.map(\.uri).joined(separator: ", ")
    let rest = findings.filter { !$0.reason.isEmpty }.map { "\($0.uri) (\($0.reason))" }.joined(separator: ", ")
    return "available: \(available.isEmpty ? "none" : available)" + (rest.isEmpty ? "" : "; not available: \(rest)")
  }
}
