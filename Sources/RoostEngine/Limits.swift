/// Every bound of this module, with its reason.
enum Limits {
  /// Characters of an error that a worker reports; a line on a terminal is shorter.
  static let reportMessageByteCountMax = 1024
  /// Groups of a model: real ones have at most a handful; a key has 16 bits for the number.
  static let groupCountMax = 64
  /// Tokens of one block: a state's page may stand for some thousand. Times the keys of a call it stays far from 2^63.
  static let tokensPerBlockMax = 1 << 20
  /// Tokens of a window: beyond any context.
  static let windowTokensMax = 1 << 40
  /// The attachment number of data planes in the engine's own process; the pool numbers others from 0 up.
  static let localAttachment = 63
  /// The attachment number that stands for all workers together that a lease was handed out to.
  static let handOutAttachment = 62
  /// Leases that a worker which attaches late is told not to touch: those of the last minutes; 8 bytes each.
  static let abandonedLeasesMax = 1024
  /// Leases that a worker remembers to have reported, so that it copies for none of them twice: more than can live.
  static let reportedLeasesMax = 1 << 16
  /// Results of handed-out leases that wait to be taken: all leases that can live.
  static let concludedMax = 1 << 16
  /// Failed pages that one report names, 12 bytes each in the pool's 64 KiB; where more fail, the whole job has.
  static let reportedPagesMax = 5000
  /// Jobs in flight in one data plane. A step of a serving engine starts one or two a request; 4,096 is beyond any
  /// batch, and keeps a caller who never polls from growing without bound.
  static let jobsInFlightMax = 4096
  /// Pages sealed in one go by the thread that seals behind: 64 pages of 2 MiB are 10 ms.
  static let sealBatchMax = 64
  /// Changes of rows written in one go: 16 KiB, half of a first-level cache.
  static let rowBatchMax = 256
  /// How long a worker sleeps when it has nothing to do and nobody sends: an upper bound for noticing its owner's end.
  static let workerIdleSeconds = 0.2
  /// Blocks in one message to a worker: 12 bytes each, in the pool's 64 KiB for a message.
  static let jobPartBlockCountMax = 5000
  /// How long a waiting thread sleeps before it looks again, when another thread may have taken its event.
  static let eventWaitSeconds = 0.001
  /// How long a worker with jobs in flight waits for the next message before it looks whether they have ended.
  static let workerBusySeconds = 0.00002
  /// How long the thread of an embedded worker sleeps with jobs in flight: the caller polls for their ends; the thread
  /// only makes sure that they are reported when nobody does.
  static let embeddedBusySeconds = 0.001
  /// The same without: how late the end of a job is found that was submitted meanwhile, where nobody polls.
  static let embeddedIdleSeconds = 0.02
  /// How long a job waits for the news that its slots exist: far longer than a message takes. A slot that does not exist
  /// costs a caller this once a job.
  static let slotNewsSeconds = 0.5
  /// How often it looks: a message takes some 20 us.
  static let slotNewsPollSeconds = 0.00005
  /// How often a job looks again at rows that look empty, and how long it waits before: the owner fills a row in some
  /// 50 ns, but it may lose its processor meanwhile. Some 10 ms in all.
  static let rowReadCountMax = 100
  static let rowReadPauseSeconds = 0.00005
  /// How long a worker tries to hand in a report before it gives up: an owner that reads nothing for so long hangs.
  static let reportSeconds = 30.0
  /// How long a data plane that is dropped waits for its copies: the longest copy of a job, times a hundred.
  static let abandonSeconds = 5.0
  /// How often a drain looks whether the leases have ended.
  static let drainPollMicroseconds: UInt32 = 200

  /// How often a data plane looks for chunks that were committed meanwhile: committing one takes about as long.
  static let chunkLookSeconds = 0.1
  /// How long a copy of one piece by way of the host may take, in benchmarks and tests.
  static let bounceSeconds = 30.0

  /// Bytes that `forget` zeroes while it holds the engine's lock: a tenth of a millisecond at 10 GB/s, or one page.
  static let eraseTurnBytes = 1 << 20

  /// Records that `forget` reads while it holds the engine's lock: 64 bytes each, half a millisecond from memory.
  static let forgetTurnRecords = 32_768

  // MARK: Tiers

  /// The part of a slot size class that promoted pages may take before they are loaded: enough to keep a drive busy,
  /// and little enough that a prefetch for nothing does not empty the pool.
  static let promotedShareMax = 0.25
  /// Pages of one batch to or from a tier: what a drive does at once, so that the next batch is on its way before it ends.
  static let tierBatchPagesMax = 32
  /// Batches of promotions under way: with 32 pages each, four times what a drive does at once.
  static let promotionBatchesMax = 4
  /// Batches of demotions under way: one at the drive, one behind it; more would stand in the way of promotions.
  static let demotionBatchesMax = 2
  /// Pages that wait to be written: 16 of the longest requests. 40 bytes each.
  static let demotionsQueuedMax = 1 << 14
  /// Quarters of the blocks whose sightings are remembered: 16 bytes each, 64 MiB.
  static let sightingsMax = 1 << 22
  /// Events taken from a tier in one go.
  static let tierEventsMax = 256
  /// How long the tier's thread waits for the tier while something is under way: how late it hears of a new request
  /// then.
  static let tierWaitSeconds = 0.0005
  /// How long it sleeps when nothing is: how late a deadline that came meanwhile is noticed.
  static let tierIdleSeconds = 0.05
  /// How long a tier may take to find what an earlier process left: 16 TiB of small pages, ten times over.
  static let tierRecoverSeconds = 3600.0
  /// How long after its deadline `close` waits for a tier: a drive at its slowest does in it what it has under way.
  static let tierCloseSeconds = 5.0
  /// The first pause after it could not; it doubles until the longest.
  static let tierRecoverPauseSecondsMin = 1.0
  /// The longest pause: how long a disk that works again stays unused.
  static let tierRecoverPauseSecondsMax = 60.0
  /// How long `forget` waits for a tier to overwrite pages: 60 GB on a drive of 1 GB/s. Found they are no more at once.
  static let forgetBelowSeconds = 60.0
  /// The weight of a new sample of a tier's speed: the last five batches count for two thirds.
  static let speedWeight = 0.2
  /// How long a measured speed is believed: a minute.
  static let speedMemoryNanoseconds: UInt64 = 60_000_000_000
  /// Before this an estimate of wear means nothing.
  static let wearSecondsMin = 60.0
}
