import DeviceCPU
import Foundation
import RoostDevice
import RoostLayout
import RoostPrimitives
import RoostTransfer
import Synchronization
import Testing

/// A device cache of 64 blocks whose pages are four rows of 1000 bytes, and slots for them.
struct Scene {
  static let blockCount = 64
  static let pageByteCount = 4000
  let cpu: CPUDevice
  let device: FaultyDevice
  let cache = Memory(blockCount * pageByteCount, seed: 1)
  let slots = Memory(blockCount * pageByteCount, seed: 2)
  let queue: TransferQueue
  let template: PageTemplate

  init(efficientRunBytes: Int = 0) throws {
    cpu = try CPUDevice(CPUDeviceConfiguration(efficientRunBytes: efficientRunBytes))
    device = FaultyDevice(cpu)
    queue = try TransferQueue(device: device)
    // The rows lie in the opposite order in the slot: four runs a page, one for the device.
    let device = try Layout(
      planes: (0..<4).map { row in
        Plane(axes: [Axis(.byte, 1000, strideBytes: 1)], itemByteCount: 1, offsetBytes: row * 1000)
      })
    let slot = try Layout(
      planes: (0..<4).map { row in
        Plane(axes: [Axis(.byte, 1000, strideBytes: 1)], itemByteCount: 1, offsetBytes: (3 - row) * 1000)
      })
    template = try PageTemplate(
      regions: [
        PagedRegion(
          address: cache.address, byteCount: cache.buffer.count, blockStrideBytes: Scene.pageByteCount,
          blockCount: Scene.blockCount)
      ], parts: [PagePart(region: 0, device: device, slot: slot)], slotByteCount: Scene.pageByteCount,
      efficientRunBytes: efficientRunBytes)
  }

  func page(_ block: Int, slot: Int) -> PageCopy {
    PageCopy(block: UInt32(block), slotAddress: slots.address + UInt(slot * Scene.pageByteCount))
  }

  /// Every block and the slot of the same number.
  var allPages: [PageCopy] { (0..<Scene.blockCount).map { page($0, slot: $0) } }

  /// Whether the slot holds the block's page.
  func holds(_ slot: Int, block: Int) -> Bool {
    (0..<4).allSatisfy { row in
      memcmp(
        cache.buffer.baseAddress! + block * Scene.pageByteCount + row * 1000,
        slots.buffer.baseAddress! + slot * Scene.pageByteCount + (3 - row) * 1000, 1000) == 0
    }
  }

  func submit(
    _ direction: TransferDirection, _ pages: [PageCopy], fence: (any DeviceEvent)? = nil
  ) throws -> TransferTicket {
    try pages.withUnsafeBufferPointer {
      try queue.submit(TransferJob(direction, template: template, fence: fence), $0)
    }
  }
}

/// The code of a failed job's error.
func failure(_ result: TransferResult) -> RoostError.Code? {
  if case .failed(let error) = result.outcome { return error.code }
  return nil
}

@Suite struct TransferQueueTests {
  /// Straight and staged.
  static let efficientRuns = [0, 4000]

  @Test(arguments: efficientRuns) func reportsEachJobOnceByPollOrByWait(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let start = MonotonicClock().nanoseconds
    let first = try scene.submit(.store, [scene.page(3, slot: 5)])
    let second = try scene.submit(.load, [scene.page(9, slot: 9)])
    let third = try scene.submit(.store, [])
    #expect(try scene.queue.wait(for: second, until: patience()).isDone)
    #expect(
      #expect(throws: RoostError.self) { _ = try scene.queue.wait(for: second, until: patience()) }?.code == .notFound)
    var results: [TransferResult] = []
    while results.count < 2 { if scene.queue.poll(into: &results) == 0 { usleep(100) } }
    #expect(results.map(\.ticket) == [first, third])
    #expect(results.map(\.byteCount) == [4000, 0])
    let elapsed = Double(MonotonicClock().nanoseconds - start) / 1e9
    #expect(results.allSatisfy { $0.isDone && $0.seconds <= elapsed })
    #expect(results[0].seconds > 0)
    #expect(scene.queue.poll(into: &results) == 0)
    #expect(scene.holds(5, block: 3))
  }

  @Test func checksEveryPageBeforeItCopiesAny() throws {
    let scene = try Scene()
    let before = Memory(copyOf: scene.slots)
    let bad = [
      PageCopy(block: UInt32(Scene.blockCount), slotAddress: scene.slots.address),
      PageCopy(block: .max, slotAddress: scene.slots.address), PageCopy(block: 0, slotAddress: 0),
      PageCopy(block: 0, slotAddress: .max - 100),
    ]
    for page in bad {
      let error = #expect(throws: RoostError.self) { _ = try scene.submit(.store, [scene.page(0, slot: 0), page]) }
      #expect(error?.code == .invalidInput)
      #expect(error?.message.contains("page 1") == true)
    }
    try scene.cpu.synchronize(until: patience())
    #expect(scene.slots.equals(before))
    #expect(scene.device.copyCalls.isEmpty)
  }

  @Test(arguments: efficientRuns) func waitsForTheFence(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let fence = try Fence(on: scene.cpu)
    let before = Memory(copyOf: scene.slots)
    let ticket = try scene.submit(.store, scene.allPages, fence: fence.event)
    let error = #expect(throws: RoostError.self) { _ = try scene.queue.wait(for: ticket, until: .after(seconds: 0.02)) }
    #expect(error?.code == .timedOut)
    #expect(scene.slots.equals(before))
    fence.open()
    #expect(try scene.queue.wait(for: ticket, until: patience()).isDone)
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
  }

  @Test(arguments: efficientRuns) func copiesInBothDirectionsAtTheSameTime(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let fence = try Fence(on: scene.cpu)
    // The load ends while the store is held up.
    let store = try scene.submit(.store, [scene.page(0, slot: 0)], fence: fence.event)
    let load = try scene.submit(.load, [scene.page(1, slot: 1)])
    #expect(try scene.queue.wait(for: load, until: patience()).isDone)
    #expect(scene.holds(1, block: 1))
    fence.open()
    #expect(try scene.queue.wait(for: store, until: patience()).isDone)
    #expect(scene.holds(0, block: 0))
  }

  @Test func offersAnEventThatCompletesWithTheCopies() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    let ticket = try scene.submit(.store, [scene.page(0, slot: 7)], fence: fence.event)
    let event = try #require(scene.queue.completionEvent(of: ticket))
    #expect(!event.isComplete)
    let compute = try scene.cpu.makeStream(priority: .normal)
    let seen = Locked<Bool?>(nil)
    let box = Box(seen)
    try compute.wait(for: event)
    try compute.enqueue { box.value.withLock { $0 = scene.holds(7, block: 0) } }
    fence.open()
    try compute.wait(until: patience())
    #expect(box.value.withLock { $0 } == true)
    #expect(try scene.queue.wait(for: ticket, until: patience()).isDone)
    #expect(scene.queue.completionEvent(of: ticket) == nil)
    // Later jobs record other events.
    let held = try Fence(on: scene.cpu)
    let later = try scene.submit(.store, [scene.page(1, slot: 8)], fence: held.event)
    #expect(event.isComplete)
    held.open()
    _ = try scene.queue.wait(for: later, until: patience())
  }

  private final class Box: Sendable {
    let value: Locked<Bool?>
    init(_ value: consuming Locked<Bool?>) { self.value = value }
  }

  @Test(arguments: efficientRuns) func cancelsWhatHasNotStarted(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let before = Memory(copyOf: scene.slots)
    let fence = try Fence(on: scene.cpu)
    // More jobs than the device takes at a time; only the first waits for the fence, the others wait for it.
    var tickets: [TransferTicket] = []
    for number in 0..<60 {
      tickets.append(
        try scene.submit(.store, [scene.page(number, slot: number)], fence: number == 0 ? fence.event : nil))
    }
    // The driver has picked the first staged job up by then; it would be cancellable before.
    if efficientRunBytes > 0 { while scene.device.copyCalls.isEmpty { usleep(100) } }
    #expect(!scene.queue.cancel(tickets[0]))
    #expect(scene.queue.cancel(tickets[50]))
    #expect(!scene.queue.cancel(tickets[50]))
    #expect(try scene.queue.wait(for: tickets[50], until: .after(seconds: 0)).outcome.isCancelled)
    #expect(scene.queue.completionEvent(of: tickets[55]) == nil)
    fence.open()
    for (number, ticket) in tickets.enumerated() where number != 50 {
      #expect(try scene.queue.wait(for: ticket, until: patience()).isDone)
      #expect(scene.holds(number, block: number))
    }
    let slot = 50 * Scene.pageByteCount
    #expect(
      memcmp(scene.slots.buffer.baseAddress! + slot, before.buffer.baseAddress! + slot, Scene.pageByteCount) == 0)
    #expect(!scene.queue.cancel(tickets[0]))
  }

  @Test func goesOnWithWaitingJobsThoughNobodyPolls() throws {
    let scene = try Scene()
    for number in 0..<200 { _ = try scene.submit(.store, [scene.page(number % 64, slot: number % 64)]) }
    var patience = 30_000
    while scene.device.copyCalls.count < 200, patience > 0 {
      usleep(1000)
      patience -= 1
    }
    #expect(scene.device.copyCalls.count == 200)
    var results: [TransferResult] = []
    while results.count < 200 { scene.queue.poll(into: &results) }
    #expect(results.map(\.ticket) == results.map(\.ticket).sorted())
  }

  @Test func handsLargeJobsOverInBatches() throws {
    let scene = try Scene()
    let pages = (0..<3000).map { scene.page($0 % 64, slot: $0 % 64) }
    let ticket = try scene.submit(.store, pages)
    #expect(try scene.queue.wait(for: ticket, until: patience()).byteCount == 3000 * Scene.pageByteCount)
    #expect(scene.device.copyCalls.reduce(0, +) == 12_000)
    // All are full but the last, and small enough that the first copy starts long before the last piece is written.
    let calls = scene.device.copyCalls
    #expect(calls.count > 4)
    #expect(Set(calls.dropLast()).count == 1)
    #expect(calls.last ?? 0 <= calls[0])
  }

  @Test func offersTheEventOfALargeJobAtOnce() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    let large = try scene.submit(.store, scene.allPages + [scene.page(0, slot: 0)], fence: fence.event)
    let event = try #require(scene.queue.completionEvent(of: large))
    #expect(!event.isComplete)
    fence.open()
    try event.wait(until: patience())
    #expect(try scene.queue.wait(for: large, until: patience()).isDone)
  }

  @Test func failsAJobWhosePagesTurnOutToBeNoGood() throws {
    let scene = try Scene()
    let before = Memory(copyOf: scene.slots)
    for count in [2, 65] {
      let source = PageSource(countMax: count) { pages in
        pages.append(scene.page(0, slot: 0))
        pages.append(PageCopy(block: UInt32(Scene.blockCount), slotAddress: scene.slots.address))
      }
      let job = TransferJob(.store, template: scene.template)
      var code: RoostError.Code?
      do throws(RoostError) {
        code = failure(try scene.queue.wait(for: scene.queue.submit(job, source), until: patience()))
      } catch {
        code = error.code
      }
      #expect(code == .invalidInput, "\(count) pages")
    }
    #expect(memcmp(scene.slots.buffer.baseAddress!, before.buffer.baseAddress!, before.buffer.count) == 0)
    var results: [TransferResult] = []
    #expect(scene.queue.poll(into: &results) == 0)
  }

  @Test func aSmallJobDoesNotOvertakeALargeOne() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    // One page more than is started at once; the last one is the first again, with the same bytes.
    let large = try scene.submit(.store, scene.allPages + [scene.page(0, slot: 0)], fence: fence.event)
    let small = try scene.submit(.store, [scene.page(7, slot: 7)])
    let error = #expect(throws: RoostError.self) { _ = try scene.queue.wait(for: small, until: .after(seconds: 0.05)) }
    #expect(error?.code == .timedOut)
    fence.open()
    #expect(try scene.queue.wait(for: small, until: patience()).isDone)
    #expect(try scene.queue.wait(for: large, until: patience()).isDone)
    #expect(scene.device.copyCalls == [260, 4])
  }

  @Test(arguments: efficientRuns) func reportsAFailedCopyAndGoesOnWithTheNextJob(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    scene.device.faults.withLock { $0.copiesBeforeFailure = 0 }
    let failed = try scene.queue.run(TransferJob(.store, template: scene.template), [scene.page(0, slot: 0)])
    #expect(failure(failed) == .invalidInput)
    #expect(failed.byteCount == 0)
    let next = try scene.queue.run(TransferJob(.store, template: scene.template), [scene.page(4, slot: 4)])
    #expect(next.isDone)
    #expect(scene.holds(4, block: 4))
    // The other direction never noticed.
    #expect(try scene.queue.run(TransferJob(.load, template: scene.template), [scene.page(9, slot: 9)]).isDone)
  }

  @Test func failsEveryJobThatTheDeviceHeldAndNoneThatCameLater() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    scene.device.faults.withLock { $0.copiesBeforeFailure = 1 }
    var tickets: [TransferTicket] = []
    for number in 0..<40 {
      tickets.append(
        try scene.submit(.store, [scene.page(number, slot: number)], fence: number == 0 ? fence.event : nil))
    }
    fence.open()
    var doneCount = 0
    for (number, ticket) in tickets.enumerated() {
      let result = try scene.queue.wait(for: ticket, until: patience())
      if result.isDone {
        #expect(scene.holds(number, block: number), "job \(number) is done but not copied")
        #expect(number == 0 || number >= 32, "job \(number) was behind the failed one in the stream")
        doneCount += 1
      }
    }
    #expect(doneCount >= 8)
  }

  @Test func neverCallsAJobDoneWhenTheStreamRefusedAPartOfIt() throws {
    let scene = try Scene()
    scene.device.faults.withLock { $0.copiesBeforeRefusal = 1 }
    let pages = (0..<2000).map { scene.page($0 % 64, slot: $0 % 64) }
    #expect(failure(try scene.queue.run(TransferJob(.store, template: scene.template), pages)) == .timedOut)
    scene.device.faults.withLock { $0.copiesBeforeRefusal = nil }
    #expect(try scene.queue.run(TransferJob(.store, template: scene.template), [scene.page(0, slot: 0)]).isDone)
  }

  @Test func keepsAJobOpenUntilTheStreamIsIdleWhenItsEndCannotBeMarked() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    scene.device.faults.withLock { $0.recordsBeforeRefusal = 1 }
    let ticket = try scene.submit(.store, [scene.page(0, slot: 0)], fence: fence.event)
    #expect(
      #expect(throws: RoostError.self) { _ = try scene.queue.wait(for: ticket, until: .after(seconds: 0.02)) }?.code
        == .timedOut)
    fence.open()
    #expect(failure(try scene.queue.wait(for: ticket, until: patience())) == .timedOut)
  }

  @Test func submitsNothingWhenTheDeviceHasNoEvents() throws {
    let scene = try Scene()
    scene.device.faults.withLock { $0.eventCount = 1 }
    #expect(
      #expect(throws: RoostError.self) { _ = try scene.submit(.store, [scene.page(0, slot: 0)]) }?.code
        == .outOfResources)
    #expect(scene.device.copyCalls.isEmpty)
    scene.device.faults.withLock { $0.eventCount = .max }
    #expect(try scene.queue.run(TransferJob(.store, template: scene.template), [scene.page(0, slot: 0)]).isDone)
  }

  @Test(arguments: efficientRuns) func closesWhenEverythingHasEnded(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    let fence = try Fence(on: scene.cpu)
    let tickets = try (0..<50).map {
      try scene.submit(.store, [scene.page($0, slot: $0)], fence: $0 == 0 ? fence.event : nil)
    }
    if efficientRunBytes > 0 { while scene.device.copyCalls.isEmpty { usleep(100) } }
    fence.open()
    try scene.queue.close(until: patience())
    #expect(#expect(throws: RoostError.self) { _ = try scene.submit(.store, []) }?.code == .stale)
    for (number, ticket) in tickets.enumerated() {
      let result = try scene.queue.wait(for: ticket, until: .after(seconds: 0))
      #expect(result.isDone && scene.holds(number, block: number) || result.outcome.isCancelled)
    }
  }

  @Test func closesInTimeThoughTheDeviceHangs() throws {
    let scene = try Scene()
    let fence = try Fence(on: scene.cpu)
    _ = try scene.submit(.store, [scene.page(0, slot: 0)], fence: fence.event)
    #expect(
      #expect(throws: RoostError.self) { try scene.queue.close(until: .after(seconds: 0.02)) }?.code == .timedOut)
    fence.open()
    try scene.cpu.synchronize(until: patience())
  }

  @Test func stagesMorePagesThanTheBuffersHold() throws {
    let scene = try Scene(efficientRunBytes: 4000)
    #expect(scene.template.isStaged)
    // 8 MiB a buffer hold 2,080 pages: five chunks, both buffers used again.
    let pages = (0..<10_000).map { scene.page($0 % 64, slot: $0 % 64) }
    #expect(try scene.queue.run(TransferJob(.store, template: scene.template), pages).isDone)
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
    scene.slots.refill(seed: 9)
    #expect(try scene.queue.run(TransferJob(.load, template: scene.template), pages).isDone)
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
  }

  @Test(arguments: efficientRuns) func takesJobsFromManyThreadsInBothDirections(efficientRunBytes: Int) throws {
    let scene = try Scene(efficientRunBytes: efficientRunBytes)
    // Threads store blocks 0..<32 and load blocks 32..<64, each its own.
    let failures = Locked(0)
    let box = Counter(failures)
    let threads = try (0..<4).map { thread in
      try HostThread.start("worker") {
        var random = SplitMix64(seed: UInt64(thread))
        for _ in 0..<100 {
          let direction: TransferDirection = thread % 2 == 0 ? .store : .load
          let first = thread % 2 * 32 + thread / 2 * 16
          let blocks = (first..<first + 16).shuffled(using: &random).prefix(Int.random(in: 1...16, using: &random))
          let result = try? scene.queue.run(
            TransferJob(direction, template: scene.template), blocks.map { scene.page($0, slot: $0) })
          if result?.isDone != true { box.value.withLock { $0 += 1 } }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(box.value.withLock { $0 } == 0)
    #expect((0..<Scene.blockCount).allSatisfy { scene.holds($0, block: $0) })
  }

  private final class Counter: Sendable {
    let value: Locked<Int>
    init(_ value: consuming Locked<Int>) { self.value = value }
  }
}

extension TransferResult.Outcome {
  var isCancelled: Bool {
    if case .cancelled = self { return true }
    return false
  }
}
