/// Every limit of this module, with its arithmetic.
enum Limits {
  /// How long the replay sleeps at most before it looks at the tier again.
  static let tierWaitSeconds = 0.001
  /// Bytes read from a trace file at a time: large enough that the call does not show, small beside everything else.
  static let readByteCount = 256 << 10

  /// The longest line of a trace: a request of 4 million tokens in blocks of 16 has 262,144 ids of at most 20 bytes,
  /// 5 MiB. A file without line ends must not fill the memory.
  static let lineByteCountMax = 64 << 20

  /// The largest zstd window accepted, as a power of two: what `zstd --ultra --long=31` writes. The decoder touches
  /// only as much of it as the file has bytes.
  static let zstdWindowLogMax: Int32 = 31

  /// Seconds spent to count a trace's requests beforehand, so that the progress bar knows its end; a trace that takes
  /// longer is replayed without an end in sight.
  static let countSeconds = 1.0

  /// Parts of the set of distinct ids: when one part grows, old and new copy exist side by side, so the more parts, the
  /// less memory on top. 256 small allocations cost nothing.
  static let idSetPartCount = 256

  /// The first capacity of a part of the set of distinct ids: 256 parts of 64 ids of 4 bytes are 64 KiB.
  static let idSetPartCapacityMin = 64

  /// Block references of a trace that is kept in memory to be replayed several times: 1 GiB of them.
  static let recordedReferenceCountMax = 1 << 28

  /// Bytes of a memcpy sample: twice the last-level cache of the machines that Roost was measured on.
  static let memcpyByteCount = 64 << 20

  /// Nanoseconds between memcpy samples: one takes 3 to 10 ms, so half a second costs at most 2 % of the run.
  static let memcpyIntervalNanoseconds: UInt64 = 500_000_000

  /// The first capacity of the arrays for a request's blocks.
  static let requestBlockCountMin = 256

  /// Bytes of device memory that a replay uses at most, except that one page always fits: four times the last-level
  /// cache, so that copies do not run from it.
  static let windowByteCount = 256 << 20

  /// Pages of the window at most: a job of 4096 pages of 64 KiB is long enough.
  static let windowPageCountMax = 4096

  /// Slots at most: their numbers have 32 bits, and one value is none.
  static let slotCountMax = Int(UInt32.max) - 1

  /// Bytes of metadata that a slot costs at the most, ghosts included, as tests bound it.
  static let metadataByteCountPerSlot = 400

  /// Seconds that the system may take to commit the pool: 1 TiB at 4 GB/s needs 260.
  static let commitSeconds = 600.0

  /// Seconds that one job may take: a window of 256 MiB at a hundredth of memcpy needs 2.
  static let copySeconds = 60.0

  /// Seconds that leases may take to end; a replay has ended them all.
  static let closeSeconds = 10.0

  /// Bytes of memory that a replay leaves free beside the pool: its window (256 MiB), the memcpy buffers (128 MiB), and
  /// as much again for everything else.
  static let memoryReserveByteCount = 768 << 20

  /// Seconds between looks at how far the pool has grown: the progress bar's own pace.
  static let commitPollSeconds = 0.1

  /// Slots of at least this size begin on a page of memory, as the pool lays them out.
  static let pageAlignedByteCountMin = 64 << 10

  /// Intervals of a time series at most: even, so that neighbours can be joined, and few enough that each is two points
  /// wide on a telephone's screen.
  static let intervalCountMax = 128
}
