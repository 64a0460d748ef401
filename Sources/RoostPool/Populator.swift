import RoostPrimitives
import Synchronization

/// Populates a worker's chunks on a thread of its own, oldest first, so that copies find their page tables filled.
final class Populator: Sendable {
  private let doorbell = Doorbell()
  private let isStopped = Atomic<Bool>(false)
  private let thread = Locked<HostThread?>(nil)

  init(_ memory: SlotMemory) throws(RoostError) {
    let started = try HostThread.start("roost-populate") { self.run(memory) }
    thread.withLock { $0 = started }
  }

  /// Says that there is a new chunk.
  func wake() { doorbell.ring() }

  /// Stops after the step that is running, and waits for that.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    doorbell.ring()
    thread.withLock { $0.take() }?.join()
  }

  private func run(_ memory: SlotMemory) {
    var done = 0
    while !isStopped.load(ordering: .acquiring) {
      let count = doorbell.ringCount
      let chunks = memory.chunks(after: done)
      for chunk in chunks { memory.populate(chunk) { isStopped.load(ordering: .acquiring) } }
      done += chunks.count
      if chunks.isEmpty { doorbell.wait(past: count, spinNanoseconds: 0, until: .never) }
    }
  }
}
