/// The named limits of groups.
extension Limits {
  /// Members of a group at most: more than one host has accelerators.
  static let rankCountMax = 64
  /// What a member lays into the shared memory at a time. Two slots for each of 64 members are 32 MiB.
  static let slotByteCount = 256 << 10
  /// How often a waiting member looks before it sleeps between looks: some tens of microseconds.
  static let groupSpinCount = 200
  /// How long it sleeps then: a member's death is noticed this late, and costs one question of the system each time.
  static let groupPauseSeconds = 0.0005
}
