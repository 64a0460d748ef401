/// Every bound in this module, with its arithmetic.
enum Limits {
  /// Pages of one batch: a request of a million tokens has 65,536 blocks of 16.
  static let batchPageCountMax = 1 << 16
  /// Pages that `Compressed` holds in its own buffers at once: 64 of 2 MiB are 128 MiB.
  static let compressedInFlightMax = 64
  /// The largest page that `Compressed` takes apart; larger ones go through as they are.
  static let compressedPageBytesMax = 1 << 30
  /// Buckets of a latency histogram: powers of the square root of two from 1 us; the last begins at 2^31 us = 36 min.
  static let histogramBucketCount = 64
  /// Failures in a row after which a circuit opens.
  static let circuitFailureCountMax = 5
  /// The first pause of an open circuit; it doubles with every failed probe.
  static let circuitPauseSecondsMin = 0.5
  /// The longest pause of an open circuit.
  static let circuitPauseSecondsMax = 60.0
  /// Characters of a tier's address: a path has at most 4,096.
  static let addressLengthMax = 8192
}
