/// The named limits of Kunlun devices.
enum Limits {
  /// Runs below this are worth staging: every copy is a call of some microseconds.
  static let efficientRunBytes = 64 << 10
  /// The most host memory that is registered in one call: above about 512 GiB the runtime overflows a field of 32 bits.
  /// A quarter of that is far from it.
  static let registrationBytesMax = 128 << 30
}
