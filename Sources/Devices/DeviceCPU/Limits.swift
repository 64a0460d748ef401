/// Bounds of the CPU device, with their arithmetic.
enum Limits {
  /// Operations that may wait in one stream. An operation is a batch of pieces or a mark, not a piece: at 1 MiB and
  /// 50 us each this is three seconds of copying.
  static let queuedOperationCountMax: UInt64 = 65_536

  /// How long a submitting call waits for room in a full stream: far longer than any healthy batch takes.
  static let submitSeconds = 10.0

  /// How long an idle stream looks for work before it sleeps, and a waiter for completion. Waking a sleeper costs
  /// about 4 us on a quiet machine and 50 us in a virtual one; spinning longer than a few of these buys nothing.
  static let spinNanoseconds: UInt64 = 50_000

  /// Copies up to this size may be executed by a waiter: at most 0.1 ms at 10 GB/s, which no deadline notices.
  static let smallCopyByteCount: UInt = 1 << 20

  /// A larger copy is carried out by the stream's thread and whoever waits for it together, a chunk of this size at a
  /// time: 20 us at 14 GB/s, so that no waiter overruns its deadline and nobody waits long for the last one.
  static let chunkByteCount: UInt = 256 << 10

  /// Copies up to this size are executed by whoever submits them, if the stream is idle: 3 us at 10 GB/s, which is what
  /// handing them to another thread and hearing of their end costs.
  static let immediateCopyByteCount: UInt = 32 << 10

  /// The size of a huge page on the processors in question (x86-64, and Arm with 4 KiB pages).
  static let hugePageByteCount = 2 << 20

  /// What direct access to files is aligned to: at least the logical block of any disk.
  static let directBlockBytes = 4096

  /// Streams per device; each costs a thread. Far above what queues need (two each).
  static let streamCountMax = 1024
}
