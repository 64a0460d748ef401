import RoostEngine
import RoostPrimitives

/// How a replay is set up.
public struct ReplayConfiguration: Sendable {
  /// The eviction policy, by name.
  public var policy = "hazard"
  /// Whether the policy is told how many tokens each request generated.
  public var tellsOutputLength = false
  /// Requests that a block must stand in before it is stored.
  public var storeRequestCountMin = 1
  /// The shape of the pages.
  public var page: PageGeometry
  /// Slots of the pool.
  public var slotCount: Int
  /// The device that pages come from and go to.
  public var device = "cpu:0"
  /// Whether only the control plane runs: no memory, no copies.
  public var isDryRun = false
  /// Whether every loaded byte is compared.
  public var verifies = true
  /// Stored bytes to flip, to show that verification can fail.
  public var faultCount = 0
  /// What everything random in a replay starts from: the built-in workload, and which bytes are flipped.
  public var seed: UInt64 = 1
  /// The address of a tier below the pool, nil: none.
  public var tier: String?
  /// Which pages are written to it.
  public var tierAdmission = TierSetup.Admission.again
  /// Requests to end after, nil for all.
  public var requestLimit: Int?

  /// The policy and what it is told, as on the command line: `hazard+output`.
  public var policyLabel: String { tellsOutputLength ? policy + "+output" : policy }

  /// The usual set-up for pages of the given shape in the given number of slots.
  public init(page: PageGeometry, slotCount: Int) {
    self.page = page
    self.slotCount = slotCount
  }
}
