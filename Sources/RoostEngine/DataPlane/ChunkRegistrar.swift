import RoostDevice
import RoostPool
import RoostPrimitives
import Synchronization

/// Registers the pool's chunks with a device as they are committed, on a thread of its own: page-locking a chunk takes
/// seconds, and copies work before, more slowly. Unregisters them when it is stopped.
///
/// A chunk that cannot be registered - most often because of the limit on locked memory - stays as it is, with one line
/// that says what to raise. One that somebody else has registered is theirs.
final class ChunkRegistrar: Sendable {
  private let memory: SlotMemory
  private let device: any Device
  private let doorbell = Doorbell()
  private let isStopped = Atomic<Bool>(false)
  private let thread = Locked<HostThread?>(nil)
  private let registered = Locked<[HostMemory]>([])

  /// Starts registering. Nil for a device that gains nothing by it: one that registers nothing, or whose memory is the
  /// host's.
  init?(_ memory: SlotMemory, with device: any Device) throws(RoostError) {
    let capabilities = device.description.capabilities
    guard capabilities.contains(.hostRegistration), !capabilities.contains(.hostAddressable) else { return nil }
    self.memory = memory
    self.device = device
    let started = try HostThread.start("roost-register") { [self] in run() }
    thread.withLock { $0 = started }
  }

  /// How many chunks are registered now.
  var count: Int { registered.withLock { $0.count } }

  /// Stops after the chunk that is being registered, and unregisters all. No copy may be running any more.
  func stop() {
    isStopped.store(true, ordering: .releasing)
    doorbell.ring()
    thread.withLock { $0.take() }?.join()
    for chunk in registered.withLock({ list in
      defer { list = [] }
      return list
    }) {
      do throws(RoostError) {
        try device.unregisterHost(chunk)
      } catch {
        // A lost device has let go of everything.
        if error.code != .lost { Log.write(.warning, "a chunk of the pool stays registered: \(error)") }
      }
    }
  }

  private func run() {
    var seen = 0
    var hasComplained = false
    while !isStopped.load(ordering: .acquiring) {
      let rings = doorbell.ringCount
      for chunk in memory.chunks(after: seen) where !isStopped.load(ordering: .acquiring) {
        seen += 1
        do throws(RoostError) {
          try device.registerHost(chunk.memory)
          registered.withLock { $0.append(chunk.memory) }
        } catch {
          guard error.code != .busy, !hasComplained else { continue }
          hasComplained = true
          Log.write(
            .warning,
            "\(device.description.uri) copies to and from parts of the pool more slowly: \(error); raise ulimit -l")
        }
      }
      doorbell.wait(
        past: rings, spinNanoseconds: 0, until: .after(seconds: Limits.chunkLookSeconds))
    }
  }
}
