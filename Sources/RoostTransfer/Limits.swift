/// Bounds of the transfer, with their arithmetic.
enum Limits {
  /// Contiguous runs in one page. A page of 80 layers whose layouts disagree down to single heads has 20,480; at 24
  /// bytes a run this limit is a table of 24 MiB.
  static let pieceCountMax = 1 << 20

  /// Pieces handed to a stream in one call: 12 KiB, so that writing them (some 2 us) stays in the first-level cache and
  /// the first copy starts soon; 4 KiB pieces make 2 MiB of them, which is 200 us of copying.
  static let batchPieceCount = 512

  /// A job of more pieces is started by the lane's thread, or by whoever waits for it: writing so many takes 1 to 2 us,
  /// a tenth of what waking that thread takes, and whoever submits has a model to run.
  static let immediatePieceCountMax = 256

  /// Jobs that the device holds at a time in one direction. More buys nothing, since a stream is ordered, and what the
  /// device holds cannot be cancelled.
  static let runningJobCountMax = 32

  /// Bytes that the device holds at a time in one direction, unless a single job is larger: about 10 ms at 25 GB/s,
  /// the time between two polls of an inference engine.
  static let runningBytesMax = 256 << 20

  /// Jobs of one queue that have not been polled for yet.
  static let jobCountMax = 1 << 16

  /// One of the two staging buffers of a direction: large enough that a copy (0.3 ms at 25 GB/s) hides the cost of
  /// starting it, small enough to stay in a last-level cache between the two copies.
  static let stagingByteCount = 8 << 20

  /// How often the driver of a lane looks whether it is asked to end, while it waits for the device.
  static let driverPatienceSeconds = 0.1

  /// How long a waiter spins before it sleeps; see the CPU device's limit of the same name.
  static let spinNanoseconds: UInt64 = 50_000
}
