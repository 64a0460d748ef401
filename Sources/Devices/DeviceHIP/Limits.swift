/// The named limits of HIP devices.
enum Limits {
  /// Runs below this are worth staging: every copy is a call of some microseconds (SGLang #37635 gains up to 64 KiB).
  static let efficientRunBytes = 64 << 10
}
