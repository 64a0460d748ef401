/// The named limits of CUDA devices.
enum Limits {
  /// Copies in one batch call or kernel: more gain nothing, and some drivers fault beyond it.
  static let batchCountMax = 8192
  /// Lists of pieces that kernels may be reading at once; with none free, the batch call does it.
  static let kernelListCount = 8
  /// A batch with fewer pieces is not worth a kernel's start (about 5 us).
  static let kernelPieceCountMin = 16
  /// Shorter pieces are for kernels, whatever the direction: the copy engines' rate falls off a cliff between 24 and
  /// 28 KiB (H100; vLLM #42212). Calibration replaces this.
  static let kernelPieceBytesMax = 28 << 10
  /// Where there is no batch call, each copy costs some microseconds of the host, and kernels win up to this size.
  static let kernelPieceBytesMaxWithoutBatch = 64 << 10
  /// Threads in all: each has four vectors of 16 bytes in flight, so 256 KiB are, and a link of 63 GB/s with a round trip
  /// of 1.3 us needs 82 KB.
  static let kernelThreadCount = 4096
  /// Threads of a block at most.
  static let blockThreadCountMax = 1024
  /// The ring of the bulk kernel: 8 stages of 16 KiB in shared memory.
  static let bulkStageBytes = 16 << 10
  /// See `bulkStageBytes`.
  static let bulkStageCount = 8
  /// Blocks of the bulk kernel: 4 x 128 KiB in flight; more take processors from the model for nothing.
  static let bulkBlockCount: UInt32 = 4
  /// What calibration copies at most at a time: the larger sizes times 256 pieces.
  static let calibrationBytes = 32 << 20
  /// How long one of its copies may take: a thousand times what it should.
  static let calibrationSeconds = 1.0
  /// How long its last copies are waited for when it was given up.
  static let calibrationEndSeconds = 60.0
  /// The widest pitch that the 2-D call takes (CU_DEVICE_ATTRIBUTE_MAX_PITCH of every device so far).
  static let pitchMax = 0x7fff_ffff
  /// Stream handles up to this are no streams but names for one of the current context's: the default stream (0 or
  /// CU_STREAM_LEGACY, 1) and the thread's (CU_STREAM_PER_THREAD, 2).
  static let contextStreamMax: UInt = 2
  /// Runs below this are worth staging on a device with neither batch calls nor kernels.
  static let efficientRunBytes = 64 << 10
}
