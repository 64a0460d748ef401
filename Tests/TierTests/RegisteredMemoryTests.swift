import Foundation
import RoostConformance
import RoostPrimitives
import RoostStorage
import Testing

@testable import TierDisk

/// Reads into memory that is registered with io_uring, and what happens where it cannot be.
@Suite(.enabled(if: RegisteredMemory.isPossible, "io_uring or locked memory is not to be had here"))
struct RegisteredMemoryTests {
  private static let pageBytes = 64 << 10

  /// Memory of some pages.
  private static func memory(pages: Int) -> AlignedMemory { AlignedMemory(byteCount: pages * pageBytes) }

  private static func withTier(pinning byteCount: Int?, _ body: (DiskTier, RingQueue) throws -> Void) throws {
    try Scratch.withDirectory { path in
      let directory = try DiskDirectory(path, io: .ring, pinnedBytesMax: byteCount)
      let tier = try DiskTier(directory, Scratch.configuration())
      _ = try tier.recover(until: Scratch.patience)
      try body(tier, try #require(tier.queue as? RingQueue))
      tier.close(until: Scratch.patience)
      #expect(tier.usage.registeredBytes == 0, "a closed tier pins nothing")
    }
  }

  /// Reads pages to the places of `memory` from `offset` on, and compares every byte.
  private static func read(_ sheets: [TierSheet], into memory: AlignedMemory, at offset: Int, from tier: DiskTier)
    throws
  {
    memory.bytes.initializeMemory(as: UInt8.self, repeating: 0xEE)
    let pages = sheets.enumerated().map { index, sheet in
      let start = offset + index * pageBytes
      return TierPage(
        sheet.name, memory: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<(start + pageBytes)]))
    }
    for (sheet, (page, outcome)) in zip(sheets, zip(pages, try tier.run(.read, pages))) {
      #expect(outcome.kind == .done && outcome.facts == sheet.facts)
      #expect(page.memory.elementsEqual(sheet.memory), "a wrong byte")
    }
  }

  private static func sheets(_ count: UInt64) -> [TierSheet] {
    (0..<count).map { TierSheet($0, byteCount: pageBytes) }
  }

  @Test func pagesGoStraightToRegisteredMemoryAndElsewhereThePlainWay() throws {
    try Self.withTier(pinning: 1 << 20) { tier, queue in
      let sheets = Self.sheets(8)
      let (registered, plain) = (Self.memory(pages: 8), Self.memory(pages: 8))
      tier.register(registered.bytes)
      #expect(tier.usage.registeredBytes == registered.bytes.count)
      #expect(try tier.write(sheets) == sheets.map { _ in .done })
      #expect(queue.registration.operationCount == 0, "a header and a page are two pieces")
      #expect(queue.registration.fileCount >= 1)
      try Self.read(sheets, into: registered, at: 0, from: tier)
      #expect(queue.registration.operationCount == 8)
      try Self.read(sheets, into: plain, at: 0, from: tier)
      #expect(queue.registration.operationCount == 8)
    }
  }

  @Test func aPageOnTheBorderOfRegisteredMemoryIsReadThePlainWay() throws {
    try Self.withTier(pinning: 1 << 20) { tier, queue in
      let sheets = Self.sheets(4)
      let memory = Self.memory(pages: 6)
      // The pages lie from half of the first place to half of the fifth; two are inside, and one on each border.
      let middle = memory.bytes[Self.pageBytes..<(4 * Self.pageBytes)]
      tier.register(UnsafeMutableRawBufferPointer(rebasing: middle))
      _ = try tier.write(sheets)
      try Self.read(sheets, into: memory, at: Self.pageBytes / 2, from: tier)
      #expect(queue.registration.operationCount == 2)
    }
  }

  @Test func everyRegionIsFoundInWhateverOrderTheyCame() throws {
    try Self.withTier(pinning: 4 << 20) { tier, queue in
      let sheets = Self.sheets(1)
      let memory = Self.memory(pages: 9)
      _ = try tier.write(sheets)
      // Every other place, from the middle outwards.
      for place in [4, 2, 6, 0, 8] {
        let start = place * Self.pageBytes
        tier.register(UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<(start + Self.pageBytes)]))
      }
      for place in 0..<9 {
        let before = queue.registration.operationCount
        try Self.read(sheets, into: memory, at: place * Self.pageBytes, from: tier)
        #expect(queue.registration.operationCount - before == (place % 2 == 0 ? 1 : 0), "place \(place)")
      }
    }
  }

  @Test func nothingIsPinnedBeyondTheLimit() throws {
    try Self.withTier(pinning: 2 * Self.pageBytes) { tier, queue in
      let sheets = Self.sheets(3)
      let memories = [Self.memory(pages: 3), Self.memory(pages: 1), Self.memory(pages: 1), Self.memory(pages: 1)]
      var registered: [Int] = []
      for memory in memories {
        tier.register(memory.bytes)
        registered.append(tier.usage.registeredBytes)
      }
      #expect(registered == [0, 1, 2, 2].map { $0 * Self.pageBytes })
      _ = try tier.write(sheets)
      try Self.read(sheets, into: memories[0], at: 0, from: tier)
      #expect(queue.registration.operationCount == 0)
    }
  }

  @Test func whereNothingMayBePinnedPagesAreReadAllTheSame() throws {
    try Self.withTier(pinning: 0) { tier, queue in
      let sheets = Self.sheets(3)
      let memory = Self.memory(pages: 3)
      tier.register(memory.bytes)
      #expect(tier.usage.registeredBytes == 0)
      _ = try tier.write(sheets)
      try Self.read(sheets, into: memory, at: 0, from: tier)
      #expect(queue.registration.operationCount == 0 && queue.registration.fileCount >= 1)
    }
  }

  @Test func pagesThatAreNotAlignedGoThroughRegisteredMemoryOfTheTiersOwn() throws {
    try Self.withTier(pinning: 4 << 20) { tier, queue in
      let sheets = [TierSheet(1, byteCount: 10_001), TierSheet(2, byteCount: 8192, shift: 512)]
      let written = try tier.write(sheets)
      #expect(written == [.done, .done])
      #expect(queue.registration.operationCount == 2)
      let read = try tier.read(sheets)
      #expect(read == [.done, .done])
      #expect(queue.registration.operationCount == 4)
      #expect(tier.usage.registeredBytes > 0)
    }
  }

  /// A ring of its own with room for no, one and many files: those that find no place go by their descriptors.
  @Test(arguments: [0, 1, 1024]) func filesBeyondTheirPlacesWorkByTheirDescriptors(placeCount: Int) throws {
    try Scratch.withDirectory { path in
      let directory = try DiskDirectory(path, io: .ring)
      let queue = try RingQueue(depth: 8, isDirect: false, fileCountMax: placeCount)
      defer { queue.close() }
      let files = try ["one", "two"].map { try directory.create($0, byteCount: 1 << 20) }
      for round in 0..<2 as Range<UInt64> {
        for (number, file) in zip((0 as UInt64)..., files) {
          let sheet = TierSheet(10 * round + number, byteCount: 8192)
          let copy = sheet.blank()
          for kind in [StorageOperation.Kind.write, .sync, .read] {
            var operation = StorageOperation(kind, token: 1, file: file, offset: 16384)
            if kind != .sync { operation.first = kind == .write ? sheet.memory : copy.memory }
            #expect(Self.result(of: operation, on: queue) == operation.byteCount)
          }
          #expect(copy.equals(sheet))
          let direct = AlignedMemory(byteCount: 8192)
          #expect(try file.read(into: direct.bytes, at: 16384) == 8192)
          #expect(direct.bytes.elementsEqual(sheet.memory), "the other file was written")
        }
      }
      #expect(queue.registration.fileCount == min(placeCount, 2))
    }
  }

  private static func result(of operation: StorageOperation, on queue: RingQueue) -> Int? {
    queue.submit([operation])
    var completions: [StorageCompletion] = []
    let deadline = Scratch.patience
    while completions.isEmpty, !deadline.hasPassed() {
      _ = queue.wait(until: .after(seconds: 0.1))
      queue.poll(into: &completions)
    }
    return completions.first?.result
  }

  /// A process that may lock 64 KiB and has no privilege to lock more.
  @Test func aTinyLimitOnLockedMemoryIsKeptByOurselvesAndByTheKernel() throws {
    try Scratch.withDirectory { path in
      let process = Process()
      let output = Pipe()
      let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
      process.executableURL = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(
        "TierProbe")
      process.arguments = ["locked", path]
      process.standardOutput = output
      try process.run()
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      // 1 MiB under the limit of 64 KiB, then with 16 MiB allowed by the address, then 16 KiB.
      #expect(text == "limit 0 exact\nkernel 0 exact\nsmall 16384 exact\n")
    }
  }
}

/// Whether memory can be registered here.
enum RegisteredMemory {
  static let isPossible: Bool = {
    guard RingProbe.obstacle() == nil else { return false }
    do throws(RoostError) {
      let queue = try RingQueue(depth: 4, isDirect: false, pinnedBytesMax: 4 << 20)
      defer { queue.close() }
      let memory = AlignedMemory(byteCount: 4 << 20)
      queue.register(memory.bytes)
      return queue.registeredBytes > 0
    } catch {
      return false
    }
  }()
}

/// Moves every page through memory that is registered with the tier inside, so that TierSuite asks the registered path.
/// Pages that find no room there stay where they are.
final class OnRegisteredMemory: Tier {
  private struct State {
    var batches: [TierTicket: (own: TierBatch, inward: TierBatch)] = [:]
    /// What is used of the memory; none once no batch is under way.
    var usedBytes = 0
  }

  private let inner: any Tier
  private let memory = AlignedMemory(byteCount: 4 << 20)
  private let state = Guarded(State())
  var name: String { inner.name }

  init(_ inner: any Tier) {
    self.inner = inner
    inner.register(memory.bytes)
  }

  func submit(_ batch: TierBatch) throws(RoostError) -> TierTicket {
    try state.withLock { (state) throws(RoostError) in
      var inward = batch
      for index in batch.pages.indices {
        let own = batch.pages[index].memory
        // On the same place of a granule, so that what is not aligned stays so.
        let start = (state.usedBytes + 4095) & ~4095 + Int(bitPattern: own.baseAddress) & 4095
        guard own.count > 0, start + own.count <= memory.bytes.count else { continue }
        state.usedBytes = start + own.count
        inward.pages[index].memory = UnsafeMutableRawBufferPointer(
          rebasing: memory.bytes[start..<(start + own.count)])
        inward.pages[index].memory.copyMemory(from: UnsafeRawBufferPointer(own))
      }
      let ticket = try inner.submit(inward)
      state.batches[ticket] = (batch, inward)
      return ticket
    }
  }

  func poll(_ max: Int, into events: inout [TierEvent]) {
    inner.poll(max, into: &events)
    state.withLock { state in
      for event in events {
        switch event {
        case .page(let ticket, let index, .done):
          guard let (own, inward) = state.batches[ticket], own.verb == .read else { continue }
          let (target, source) = (own.pages[index].memory, inward.pages[index].memory)
          // A page that is not there leaves the caller's memory alone: it may be gone.
          if target.baseAddress != source.baseAddress { target.copyMemory(from: UnsafeRawBufferPointer(source)) }
        case .page: break
        case .released(let ticket): state.batches[ticket] = nil
        }
      }
      if state.batches.isEmpty { state.usedBytes = 0 }
    }
  }

  func wait(until deadline: Deadline) -> Bool { inner.wait(until: deadline) }
  func peek(_ names: [PageName], into found: inout [Bool]) { inner.peek(names, into: &found) }
  var usage: TierUsage { inner.usage }
  func recover(until deadline: Deadline) throws(RoostError) -> RecoveryReport { try inner.recover(until: deadline) }
  func forget(_ identity: IdentityDigest) throws(RoostError) -> Int { try inner.forget(identity) }
  func drain(until deadline: Deadline) throws(RoostError) { try inner.drain(until: deadline) }
  func close(until deadline: Deadline) { inner.close(until: deadline) }
}
