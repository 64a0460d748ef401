/// The named limits of Ascend devices.
enum Limits {
  /// Runs below this are worth staging where there is no batch call: every copy is a call of some microseconds.
  static let efficientRunBytes = 64 << 10
  /// The characters of a key that names shared memory, its end included (acl_rt.h's documentation says 65).
  static let keyBytes = 65
}
