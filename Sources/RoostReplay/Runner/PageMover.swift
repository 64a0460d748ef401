import RoostBlocks
import RoostBuiltins
import RoostDevice
import RoostEngine
import RoostPool
import RoostPrimitives

/// Moves the pages of one verb of one request between device and pool, a window of device pages at a time.
///
/// `begin`, `add` each page, then, while `hasMore`: `fill` and `store`, or `load` and `mismatchedPageCount`. Not
/// thread-safe.
final class PageMover {
  /// What became of one window.
  struct Moved {
    /// Pages that were copied.
    var pageCount: Int
    /// Pages that were not.
    var failedCount: Int
    /// Bytes copied.
    var byteCount: Int
    /// Seconds of copying.
    var seconds: Double
  }

  /// A byte that was flipped on purpose.
  struct Fault {
    fileprivate var address: UnsafeMutablePointer<UInt8>
    fileprivate var flip: UInt8
  }

  /// Pages added since `begin`.
  var count: Int { pages.count }
  /// Whether pages are left that no window has taken.
  var hasMore: Bool { done < pages.count }
  /// The slots of the last window whose copies failed.
  private(set) var failed: [(slot: SlotNumber, generation: UInt32)] = []

  private let window: LayeredCache
  private let plane: LocalDataPlane
  private let pool: Pool
  private var pages: [(id: UInt64, slot: SlotNumber, generation: UInt32)] = []
  private var done = 0
  private var current = 0..<0
  private var failedIndices: [Int] = []
  private var copies: [BlockCopy] = []
  private var random: SplitMix64

  /// Opens the device and makes a window of pages in its memory, laid out as vLLM has it (LBHNC, packed): one tensor a
  /// layer, in each the page's blocks of the kernel, all heads and tokens. Called before anything larger is opened, so
  /// that a wrong name is told at once.
  ///
  /// - Throws: `notFound` or `invalidInput` for the device's name, `unsupported` if the host cannot address its memory,
  ///   `outOfResources`.
  static func window(_ configuration: ReplayConfiguration) throws(RoostError) -> (LayeredCache, any Device) {
    let page = configuration.page
    let device = try Builtins.devices().open(configuration.device)
    let pageCount = min(max(Limits.windowByteCount / page.byteCount, 1), Limits.windowPageCountMax)
    let shape = LayeredCache.Shape(
      layerCount: page.layerCount, pieceByteCount: page.kernelBlockCount * page.pieceByteCount, blockCount: pageCount)
    return (try LayeredCache(shape, on: device), device)
  }

  /// Connects a window with an engine's pool.
  init(_ window: LayeredCache, on device: any Device, _ engine: Engine, seed: UInt64) throws(RoostError) {
    guard let pool = engine.pool else { throw RoostError(.unsupported, "an engine without memory moves no pages") }
    self.window = window
    self.pool = pool
    plane = try LocalDataPlane(engine: engine, device: device, templates: [window.template])
    random = SplitMix64(seed: SplitMix64.mix(seed ^ 0xB17F))
  }

  /// Forgets the pages of the verb before.
  func begin() {
    pages.removeAll(keepingCapacity: true)
    done = 0
    current = 0..<0
  }

  /// Adds a page.
  func add(_ id: UInt64, _ slot: SlotNumber, _ generation: UInt32) { pages.append((id, slot, generation)) }

  /// Fills the pages of the next window with their patterns.
  func fill() {
    for (index, page) in pages[done..<min(done + window.shape.blockCount, pages.count)].enumerated() {
      window.fill(UInt32(index), seed: ReplayKeys.patternSeed(of: page.id))
    }
  }

  /// Copies the next window from the device to its slots.
  func store(_ lease: LeaseID) throws(RoostError) -> Moved { try move(.store, lease) }

  /// Copies the next window from its slots to the device.
  func load(_ lease: LeaseID) throws(RoostError) -> Moved { try move(.load, lease) }

  /// How many pages of the window that was loaded last are not what they should be.
  func mismatchedPageCount() -> Int {
    var count = 0
    for (index, page) in pages[current].enumerated() where !failedIndices.contains(index) {
      if window.wrongByteCount(UInt32(index), seed: ReplayKeys.patternSeed(of: page.id)) > 0 { count += 1 }
    }
    return count
  }

  private func move(_ verb: CopyVerb, _ lease: LeaseID) throws(RoostError) -> Moved {
    current = done..<min(done + window.shape.blockCount, pages.count)
    done = current.upperBound
    copies.removeAll(keepingCapacity: true)
    for (index, page) in pages[current].enumerated() {
      copies.append(BlockCopy(block: UInt32(index), slot: page.slot, generation: page.generation))
    }
    let result = try submit(CopyJob(verb, lease: lease))
    if case .failed(let error) = result.outcome {
      throw RoostError(error.code, "the device cannot go on copying", cause: error)
    }
    failedIndices = result.failedBlocks
    failed = failedIndices.map { (copies[$0].slot, copies[$0].generation) }
    return Moved(
      pageCount: copies.count - failed.count, failedCount: failed.count, byteCount: result.byteCount,
      seconds: result.seconds)
  }

  private func submit(_ job: CopyJob) throws(RoostError) -> JobResult {
    let plane = plane
    let submitted = copies.withUnsafeBufferPointer { copies -> Result<JobID, RoostError> in
      do throws(RoostError) { return .success(try plane.submit(job, copies)) } catch { return .failure(error) }
    }
    return try plane.wait(for: try submitted.get(), until: .after(seconds: Limits.copySeconds))
  }
}

/// Faults, to show that verification can fail.
extension PageMover {
  /// Flips a random bit in the slots of `count` different pages of those that were added.
  ///
  /// - Precondition: `count` is at most the number of pages.
  func corrupt(_ count: Int) -> [Fault] {
    pages.shuffled(using: &random).prefix(count).map { page in
      let offset = Int.random(in: 0..<window.shape.pageByteCount, using: &random)
      let address = pool.memory.address(of: page.slot).advanced(by: offset).assumingMemoryBound(to: UInt8.self)
      let flip = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
      address.pointee ^= flip
      return Fault(address: address, flip: flip)
    }
  }

  /// Flips the bits back, so that one fault is counted once however often the page is loaded again.
  func restore(_ faults: [Fault]) {
    for fault in faults { fault.address.pointee ^= fault.flip }
  }
}
