/// Every bound in this module, with its arithmetic.
enum Limits {
  /// In front of each page, and the granule of everything on disk: the largest sector that drives have today, and the
  /// page of the machine's memory, so that both halves of a write are aligned for O_DIRECT.
  static let granuleBytes = 4096
  /// The part of a page's header that means something; it lies within one 512-byte sector, which drives write whole.
  static let pageHeaderBytes = 176
  /// What is read of each page to find out what it is: the smallest sector.
  static let headerReadBytes = 512
  /// The front of a segment: its header, twice, so that one bad sector does not lose the segment.
  static let segmentFrontBytes = 2 * granuleBytes
  /// The smallest slot: a header and a granule.
  static let slotBytesMin = 2 * granuleBytes
  /// The largest page: the pool's largest slot.
  static let pageBytesMax = 1 << 30
  /// The least that a tier can work with: a segment with a few slots, and the small files.
  static let capacityBytesMin = 256 << 10
  /// 16 TiB: the record numbers of a tier are 32 bits, and its smallest slots 8 KiB: 2^31 records.
  static let capacityBytesMax = 1 << 44
  /// Segments that a tier aims at: a segment is what changes from one page size to another as a whole.
  static let segmentCountTarget = 64
  /// Segments a tier may have: file names have four digits.
  static let segmentCountMax = 9999
  /// A segment is not larger than this, so that starting on a new directory shows progress, and not smaller than
  /// `segmentBytesMin` if the capacity allows.
  static let segmentBytesMax = 4 << 30
  /// 64 MiB: 32 pages of 2 MiB.
  static let segmentBytesMin = 64 << 20
  /// Slot sizes of one tier: 8 an octave from 4 KiB to 1 GiB are 144.
  static let slotClassCountMax = 160
  /// Of the capacity, for lock, snapshot and the file system's own blocks: a 128th holds a snapshot of pages from
  /// 12 KiB on, at 92 bytes a page.
  static let reserveShare = 128
  /// The least reserve: what a directory and three small files take on file systems with 4 KiB blocks.
  static let reserveBytesMin = 64 << 10
  /// Pages that wait for their turn: more are throttled. 4,096 of 2 MiB are 8 GiB in flight, more than any request.
  static let waitingCountMax = 4096
  /// Operations at once. A drive is saturated at 32 to 64; each costs one page header.
  static let depthDefault = 32
  /// The most operations at once.
  static let depthMax = 1024
  /// Threads of the fallback: each does one operation at a time, and more of them than a drive has queues gain little.
  static let threadCountMax = 16
  /// Threads that look at headers when a tier is opened.
  static let scanThreadCountMax = 8
  /// Times that a read or write that moved only a part is continued; each moves at least a byte, but a storage that
  /// serves a page byte by byte is broken.
  static let continuationCountMax = 64
  /// The first pause after a failed write; it doubles with every failure until the longest.
  static let writePauseSecondsMin = 1.0
  /// The longest pause: how long space that has returned stays unused.
  static let writePauseSecondsMax = 60.0
  /// Generations and epochs of files that can be believed: 2^60 is more pages than any drive lives to write, and adding to
  /// them does not overflow.
  static let generationMax: UInt64 = 1 << 60
  /// Openings of one tier: an epoch begins at the session's number times 2^20.
  static let sessionMax: UInt64 = 1 << 40
  /// Identities of one tier: 2^20 of 32 bytes and a dictionary entry are about 100 MiB.
  static let identityCountMax = 1 << 20
  /// Memory that pages without the alignment of the drive are copied through, per operation at once; larger ones get
  /// memory of their own for the moment.
  static let bounceBytes = 256 << 10
  /// Files that one ring registers: the usual limit on open files, which the kernel applies to them too. A tier of more
  /// segments uses the others by their descriptors.
  static let ringFileCountMax = 1024
  /// Pieces of memory that one ring registers: the 1,024 chunks that a pool may have, and the most memory for pages that
  /// are not aligned, one an operation.
  static let ringMemoryCountMax = 2048
  /// The largest piece: what the kernel takes. A chunk of more is registered in several, and a page on the border is moved
  /// the plain way.
  static let ringMemoryBytesMax = 1 << 30
  /// Bytes of a file of zeros written at once, where a file system cannot allocate.
  static let zeroStepBytes = 4 << 20
}
