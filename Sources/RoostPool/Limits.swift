/// Every bound in this module, with its arithmetic.
enum Limits {
  /// The largest slot: a DeepSeek-V3 page of 1,024 tokens has 70 MiB, Llama-3.1-405B's of 256 tokens 129 MiB.
  static let slotByteCountMax = 1 << 30
  /// Slots of at least this size start on a page, so that files can be read straight into them.
  static let pageAlignedSlotBytesMin = 64 << 10
  /// Alignment of smaller slots: a page each would waste up to half of them; 512 is a disk's sector.
  static let smallSlotAlignmentBytes = 512
  /// The page of the machine's memory; 64 KiB pages (some ARM kernels) are multiples of the chunk's alignment below.
  static let pageBytes = 4096
  /// Chunks begin at multiples of this in address space: a huge page on x86-64 and ARM with 4 KiB pages.
  static let hugePageBytes = 2 << 20
  /// Slot size classes of one pool: groups of a model, a few models. Fixed by the table's format.
  static let slotClassCountMax = 64
  /// The largest pool.
  static let capacityBytesMax = 1 << 44
  /// A chunk is not smaller than this (if the pool is not): committing 64 MiB takes 15 - 40 ms, which is how long
  /// the first store waits.
  static let chunkBytesMin = 64 << 20
  /// Chunks that a large pool aims at: 64 MiB ones up to 16 GiB. Each costs the owner one descriptor, and 1,024 is the
  /// usual limit of those.
  static let chunkCountTarget = 256
  /// Chunks a pool may have: more only where RLIMIT_FSIZE forces small ones.
  static let chunkCountMax = 1024
  /// A chunk holds at least this many of the largest slots, so that what is left over is at most a sixteenth.
  static let slotsPerChunkMin = 16
  /// Rows of one table: 2^28 slots of 80 bytes are 20 GiB of rows.
  static let slotCountMax = 1 << 28
  /// Bytes committed between two looks at the limits.
  static let commitStepBytes = 32 << 20
  /// Bytes populated between two looks at the stop flag: about 10 ms.
  static let populateStepBytes = 32 << 20
  /// Identities of one table: at 40 bytes each 2.5 MiB; one a tenant and adapter.
  static let identityCountMax = 1 << 16
  /// Identities of a small pool.
  static let identityCountMin = 256

  /// Room left in a control group: the process's own heap grows, and one byte over is a kill. A sixteenth of the
  /// limit, within these bounds.
  static let controlGroupReserveBytes = (16 << 20)...(1 << 30)
  /// A limit above this is none: version 1 writes "no limit" as the largest multiple of a page in 63 bits.
  static let controlGroupLimitBytesMax = 1 << 60
  /// Room left of the machine's available memory: a thirty-second of it, within these bounds.
  static let machineReserveBytes = (64 << 20)...(4 << 30)
  /// Room left in a tmpfs: a sixty-fourth of it, within these bounds. Running into its end is an error, not a kill.
  static let fileSystemReserveBytes = (1 << 20)...(64 << 20)
  /// Address space left under RLIMIT_AS for everything else in the process.
  static let addressSpaceReserveBytes = 64 << 20
  /// The most of a file in /proc or /sys that is read: mountinfo on a busy container host has a few hundred KiB.
  static let smallFileBytesMax = 1 << 20

  /// Attachments at a time: one bit each in a 64-bit mask, whose last two bits are the owner's own data planes and the
  /// leases that it handed out.
  static let attachmentCountMax = 62
  /// Connections that have not said who they are; more wait in the listening socket's backlog.
  static let handshakeCountMax = 16
  /// How long a connection may take to say who it is.
  static let handshakeSeconds = 2.0
  /// The backlog of the listening socket.
  static let listenBacklog = 64
  /// The payload of one message: a default socket buffer (208 KiB) takes two, 4,096 blocks of 16 bytes fit.
  static let messageByteCountMax = 64 << 10
  /// Messages that wait for one slow attachment: 256 x 64 KiB = 16 MiB at most.
  static let outgoingCountMax = 256
  /// Messages that wait for the application in the owner: 4,096 x 64 KiB = 256 MiB at most. Beyond it the owner stops
  /// reading, and senders wait.
  static let incomingCountMax = 4096
  /// The longest path of a socket: `sun_path` has 108 bytes, one of them the end.
  static let socketPathBytesMax = 107
  /// How long the thread that serves the socket sleeps at most, so that a missed wake-up cannot last.
  static let serveSleepMilliseconds: CInt = 1000
  /// How long a new owner waits for the workers of the last one to go.
  static let adoptionWaitSeconds = 5.0
  /// Attempts to make a pool's directory and lock it while others sweep: 5 ms apart where the lock is taken, so that
  /// `lockPatienceSeconds` ends first.
  static let openAttemptsMax = 64
  /// How long an owner's lock must stand in the way of a new owner: others take it for a moment while they sweep.
  static let lockPatienceSeconds = 0.1
  /// Directory entries looked at in one sweep.
  static let sweepCountMax = 1024
  /// The longest name of a pool.
  static let nameLengthMax = 64
  /// How long a thread that waits for an event spins before it sleeps: the time in which a worker on another core
  /// answers, some 10 us, would double if each side had to be woken.
  static let eventSpinNanoseconds: UInt64 = 20_000
  /// Packets that one connection may hand in before the others have their turn: some 64 x 64 KiB, a millisecond.
  static let packetsPerTurnMax = 64
}
