/// The named limits of driven devices.
enum Limits {
  /// How long a waiter asks without sleeping: a copy of a few MiB takes that long, and a sleep costs about as much.
  static let spinNanoseconds: UInt64 = 50_000
  /// The first and the longest sleep between two questions: what a waiter that came late loses, against the cost of
  /// asking (about 1 us a call on real drivers).
  static let pauseMicrosecondsMin: UInt32 = 20
  /// See `pauseMicrosecondsMin`.
  static let pauseMicrosecondsMax: UInt32 = 200
  /// What the contract promises for device memory.
  static let alignment: UInt = 4096
}
