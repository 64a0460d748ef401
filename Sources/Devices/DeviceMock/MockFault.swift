/// Something that goes wrong at a chosen moment.
///
/// The mock counts its steps: every call that allocates or submits, and every turn in which a stream copies or records.
/// A fault fires once, at the first step from `step` on at which its kind can happen; `MockDevice.firedFaults` tells
/// which that was. So a test covers everything that can go wrong: one run for step 0, then one for the step after that
/// at which the last run's fault fired, until none fires.
public struct MockFault: Hashable, Sendable, CustomStringConvertible {
  /// What goes wrong.
  public enum Kind: String, Sendable, CaseIterable {
    /// A call that allocates memory, a stream or an event, or registers memory, throws `outOfResources`.
    case outOfResources
    /// A submitting call throws `timedOut`, as if the stream were full.
    case refusal
    /// A copy ends half-way, with junk in what it was writing, and its stream fails.
    case failedCopy
    /// The device is gone: everything fails with `lost` from now on, also after `reset`.
    case lostDevice
    /// A stream stands still until `MockDevice.resume`.
    case stall
    /// A lie: a copy that reports success has written one wrong byte.
    case wrongByte
    /// A lie: an event completes before what was submitted before it.
    case earlyCompletion

    /// What a device that keeps the contract may do.
    public static let honest: [Kind] = [.outOfResources, .refusal, .failedCopy, .lostDevice, .stall]
    /// What no device may do. For proving that a checker notices.
    public static let lies: [Kind] = [.wrongByte, .earlyCompletion]

    func canHappen(at site: MockSite) -> Bool {
      switch self {
      case .outOfResources: site == .allocation
      case .refusal: site == .submission || site == .recordSubmission
      case .failedCopy, .wrongByte: site == .copying
      case .lostDevice: true
      case .stall: site == .copying || site == .recording
      case .earlyCompletion: site == .recordSubmission
      }
    }
  }

  /// What goes wrong.
  public var kind: Kind
  /// From which step on.
  public var step: Int

  /// Plans a fault.
  public init(_ kind: Kind, step: Int) {
    self.kind = kind
    self.step = step
  }

  /// Kind and step, for a test that failed.
  public var description: String { "\(kind.rawValue)@\(step)" }
}

/// The places in which faults happen.
enum MockSite {
  /// A call that takes memory, a stream or an event.
  case allocation
  /// A call that hands an operation to a stream.
  case submission
  /// The same for the recording of an event.
  case recordSubmission
  /// A stream's turn at a part of a copy.
  case copying
  /// A stream's turn at a recording.
  case recording
}

/// Counts steps and says which of them go wrong. A pure state machine.
struct MockFaultPlan {
  /// Those that have not happened, by step.
  private var pending: [MockFault]
  /// Those that have, in their order, each with the step at which it has.
  private(set) var fired: [MockFault] = []
  private(set) var stepCount = 0

  init(_ faults: [MockFault]) { pending = faults.sorted { $0.step < $1.step } }

  /// Counts a step; what goes wrong in it, if anything.
  mutating func visit(_ site: MockSite) -> MockFault.Kind? {
    let step = stepCount
    stepCount += 1
    guard let first = pending.first, first.step <= step,
      let index = pending.firstIndex(where: { $0.step <= step && $0.kind.canHappen(at: site) })
    else { return nil }
    let fault = pending.remove(at: index)
    fired.append(MockFault(fault.kind, step: step))
    return fault.kind
  }
}
