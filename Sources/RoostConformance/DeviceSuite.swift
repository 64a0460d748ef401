import RoostDevice
import RoostPrimitives

/// What every device must do, whoever made it: the contract of `Device`, `DeviceStream` and `DeviceEvent` as checks.
///
/// Checks are crossed with capabilities: what a device offers must work, what it does not offer must be refused with
/// `unsupported`. The suite moves all bytes by copies, so that it needs no memory that the host can address.
public enum DeviceSuite {
  /// A check of a device.
  public typealias Check = ConformanceCheck<DeviceTrial>

  /// Every check.
  public static let checks: [Check] =
    memoryChecks + copyChecks + streamChecks + eventChecks + failureChecks + capabilityChecks + togetherChecks

  /// Asks one subject.
  public static func verdict(on check: Check, of subject: DeviceSubject) -> ConformanceVerdict {
    check.verdict(excepting: subject.exceptions) { () throws(RoostError) in try DeviceTrial(subject) }
  }

  /// Device memory that a check may fill: a device with more is not asked to run out of it.
  static let smallMemoryBytes = 256 << 20

  /// A check that needs capabilities, or needs them to be missing.
  static func check(
    _ name: String, needs: Capabilities = [], lacks: Capabilities = [],
    _ body: @escaping @Sendable (DeviceTrial) throws(RoostError) -> Void
  ) -> Check {
    Check(name, obstacle: { obstacle($0, needs: needs, lacks: lacks) }, body)
  }

  /// A check that holds a stream up.
  static func holdingCheck(
    _ name: String, _ body: @escaping @Sendable (DeviceTrial) throws(RoostError) -> Void
  ) -> Check {
    Check(name, obstacle: { $0.holdStream == nil ? "nothing can hold a stream of this device up" : nil }, body)
  }

  private static func obstacle(_ trial: DeviceTrial, needs: Capabilities, lacks: Capabilities) -> String? {
    let missing = needs.subtracting(trial.capabilities)
    if !missing.isEmpty { return "does not offer \(names(missing))" }
    let present = lacks.intersection(trial.capabilities)
    return present.isEmpty ? nil : "offers \(names(present)), and has nothing to refuse"
  }

  private static func names(_ capabilities: Capabilities) -> String {
    Capabilities.names.filter { capabilities.contains($0.capability) }.map(\.name).joined(separator: ", ")
  }
}
