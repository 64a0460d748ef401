import CRoostPlatform
import Glibc
import RoostDevice
import RoostPrimitives
import Synchronization

/// A chunk of the pool as this process has it mapped.
public struct ChunkMemory: Hashable, Sendable {
  /// The number of the chunk in the pool.
  public var chunk: Int
  /// Where it lies in this process.
  public var memory: HostMemory
  /// Whether this process's page tables are filled, so that the first touch costs nothing.
  public var isPopulated: Bool
}

/// The pool's memory in this process: chunks, and where each slot lies. Both the owner and every attached process have
/// one. Thread-safe. The memory is unmapped with the last reference, and not before.
public final class SlotMemory: Sendable {
  /// The most slots that the pool may come to have.
  public let slotCountMax: Int
  /// The slot sizes in bytes, by class.
  public let slotByteCounts: [Int]

  let plan: ChunkPlan
  private nonisolated(unsafe) let start: UnsafeMutableRawPointer
  private nonisolated(unsafe) let reservation: UnsafeMutableRawPointer
  private let reservationBytes: Int
  /// For every slot its address, 0 until it is known; stored after its class. Anonymous memory, and so zero at first.
  private nonisolated(unsafe) let addresses: UnsafeMutablePointer<Atomic<UInt>>
  private nonisolated(unsafe) let classes: UnsafeMutablePointer<UInt8>
  private let known = Atomic<Int>(0)
  private let list = Locked<[ChunkMemory]>([])

  /// Reserves address space; nothing is mapped yet.
  ///
  /// - Throws: `outOfResources` if there is not so much.
  init(plan: ChunkPlan) throws(RoostError) {
    self.plan = plan
    slotCountMax = plan.slotCountMax
    slotByteCounts = plan.sizes.map(\.slotBytes)
    reservationBytes = plan.addressSpaceBytes + plan.alignmentBytes
    reservation = try SlotMemory.map(reservationBytes, PROT_NONE)
    let mask = UInt(plan.alignmentBytes - 1)
    let address = (UInt(bitPattern: reservation) + mask) & ~mask
    // Not null: it lies in the reservation.
    start = UnsafeMutableRawPointer(bitPattern: address)!
    let slots = max(1, slotCountMax)
    let table = try SlotMemory.map(slots * SlotMemory.bytesPerSlot, PROT_READ | PROT_WRITE)
    addresses = table.bindMemory(to: Atomic<UInt>.self, capacity: slots)
    classes = (table + slots * MemoryLayout<UInt>.stride).bindMemory(to: UInt8.self, capacity: slots)
  }

  deinit {
    munmap(reservation, reservationBytes)
    munmap(addresses, max(1, slotCountMax) * SlotMemory.bytesPerSlot)
  }

  /// What each slot costs in here: its address and its class.
  static let bytesPerSlot = MemoryLayout<UInt>.stride + 1

  private static func map(_ byteCount: Int, _ protection: CInt) throws(RoostError) -> UnsafeMutableRawPointer {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let address = mmap(nil, byteCount, protection, flags, -1, 0), address != MAP_FAILED else {
      throw .system(
        "mmap", errno, "there is no address space for the pool; raise the limit (ulimit -v) or ask for a smaller pool",
        context: [("bytes", "\(byteCount)")])
    }
    return address
  }

  /// The first byte of a slot. The memory stays valid while this object lives; who may write what when is the
  /// engine's business.
  ///
  /// - Precondition: the slot has been cut, and this process has heard of it (`isKnown`).
  public func address(of slot: SlotNumber) -> UnsafeMutableRawPointer {
    precondition(Int(slot.rawValue) < slotCountMax, "the slot's number is beyond the pool")
    let bits = addresses[Int(slot.rawValue)].load(ordering: .acquiring)
    guard let address = UnsafeMutableRawPointer(bitPattern: bits) else {
      preconditionFailure("the slot has not been cut")
    }
    return address
  }

  /// Whether the slot has been cut as far as this process knows: check numbers that come from outside.
  public func isKnown(_ slot: SlotNumber) -> Bool {
    Int(slot.rawValue) < slotCountMax && addresses[Int(slot.rawValue)].load(ordering: .acquiring) != 0
  }

  /// How many slots, from number 0 on, are known without a gap.
  public var knownSlotCount: Int { known.load(ordering: .acquiring) }

  /// The size class of a slot.
  ///
  /// - Precondition: as for `address(of:)`.
  public func slotClass(of slot: SlotNumber) -> Int {
    precondition(isKnown(slot), "the slot has not been cut")
    return Int(classes[Int(slot.rawValue)])
  }

  /// The bytes of a slot.
  ///
  /// - Precondition: as for `address(of:)`.
  public func bytes(of slot: SlotNumber) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: address(of: slot), count: slotByteCounts[slotClass(of: slot)])
  }

  /// The chunks that are mapped, oldest first; the list only grows. Register them with a device one by one.
  public var chunks: [ChunkMemory] { list.withLock { $0 } }

  /// The chunks from the `count`th on.
  public func chunks(after count: Int) -> [ChunkMemory] {
    list.withLock { Array($0.dropFirst(max(0, count))) }
  }

  // MARK: For the pool and the attachment

  /// Where a chunk lies, mapped or not.
  func address(ofChunk chunk: Int) -> UnsafeMutableRawPointer { start + chunk * plan.chunkStrideBytes }

  /// The bytes of a published chunk.
  func byteCount(ofChunk chunk: Int) -> Int {
    list.withLock { list in list.first { $0.chunk == chunk }?.memory.byteCount ?? 0 }
  }

  /// Maps a chunk's file in its place. Nothing is published.
  func map(chunk: Int, file: Descriptor, byteCount: Int, hugePages: Bool) throws(RoostError) {
    precondition(chunk < plan.chunkCount && byteCount <= plan.chunkStrideBytes, "the chunk lies beyond the pool")
    let place = address(ofChunk: chunk)
    let result = mmap(place, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.number, 0)
    guard result == place else { throw .system("mmap", errno, "cannot map chunk \(chunk) of the pool") }
    // A child that fork made would keep the memory, and could write into it after the pool has a new owner.
    _ = roost_memory_advise_no_fork(place, byteCount)
    if hugePages { _ = roost_memory_advise_huge(place, byteCount) }
  }

  /// Undoes `map`: the place is address space again.
  func unmap(chunk: Int) {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
    _ = mmap(address(ofChunk: chunk), plan.chunkStrideBytes, PROT_NONE, flags, -1, 0)
  }

  /// Publishes a mapped chunk.
  func publish(chunk: Int, byteCount: Int, isPopulated: Bool) {
    let memory = HostMemory(address: UInt(bitPattern: address(ofChunk: chunk)), byteCount: byteCount)
    list.withLock { $0.append(ChunkMemory(chunk: chunk, memory: memory, isPopulated: isPopulated)) }
  }

  /// Notes where slots lie, before anybody is told their numbers.
  ///
  /// - Precondition: they fit in the chunk, which is mapped.
  func assign(_ piece: ChunkLedger.Piece) {
    precondition(Int(piece.slots.upperBound) <= slotCountMax, "the slots are beyond the pool")
    var address = UInt(bitPattern: self.address(ofChunk: piece.chunk))
    let stride = UInt(plan.sizes[piece.slotClass].strideBytes)
    for slot in piece.slots {
      classes[Int(slot)] = UInt8(piece.slotClass)
      addresses[Int(slot)].store(address, ordering: .releasing)
      address += stride
    }
    var count = known.load(ordering: .relaxed)
    while count < slotCountMax, addresses[count].load(ordering: .acquiring) != 0 { count += 1 }
    _ = known.max(count, ordering: .releasing)
  }

  /// Fills the page tables of one chunk, stepwise; stops early when `isStopped` says so.
  func populate(_ chunk: ChunkMemory, isStopped: () -> Bool) {
    var done = 0
    while done < chunk.memory.byteCount, !isStopped() {
      let step = min(Limits.populateStepBytes, chunk.memory.byteCount - done)
      let place = UnsafeMutableRawPointer(bitPattern: chunk.memory.address + UInt(done))
      // Best effort: an old kernel lacks the call, and a first touch does the same later.
      guard roost_memory_populate(place, step, 1) == 0 else { return }
      done += step
    }
    guard done >= chunk.memory.byteCount else { return }
    list.withLock { list in
      if let index = list.firstIndex(where: { $0.chunk == chunk.chunk }) { list[index].isPopulated = true }
    }
  }
}
