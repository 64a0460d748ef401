/// Bounds of the mock, with their arithmetic.
enum Limits {
  /// Streams at a time; far above what queues need (two each).
  static let streamCountMax = 1024
  /// Operations that may wait in one stream before a submitting call throws `timedOut`: nothing but a test that never
  /// waits gets there.
  static let queuedOperationCountMax = 65_536
  /// Operations that have ended and are still in a stream's list, so that removing them costs little.
  static let doneOperationCountMax = 256
  /// Parts that one copy is made in, so that other streams come between them.
  static let copyPartCountMax = 4
  /// A stream that had a turn gets a new rank once in so many turns: mostly one stream runs far ahead of the others,
  /// sometimes they alternate.
  static let turnsPerRank: UInt64 = 8
  /// Nanoseconds of the mock's own time that a turn takes, at most.
  static let turnNanosecondsMax: UInt64 = 100_000
  /// Bytes of fresh memory that are filled with junk: enough that nobody gets zeroes where it looks, little enough that
  /// staging buffers of 8 MiB cost nothing.
  static let junkByteCountMax = 64 << 10
  /// Host memory that can be allocated.
  static let hostMemoryBytes = 1 << 30
  /// Rows of one strided copy: one a byte of a small device.
  static let rowCountMax = 1 << 20
  /// Device memory and host memory come in these units.
  static let pageByteCount = 4096
}
