import RoostBlocks
import RoostPrimitives

/// The arrays that the engine's verbs read and answer into, reused from request to request. Not thread-safe.
final class RequestBuffers {
  private(set) var keys: UnsafeMutableBufferPointer<Key> = .init(start: nil, count: 0)
  private(set) var states: UnsafeMutableBufferPointer<KeyState> = .init(start: nil, count: 0)
  private(set) var loadGrants: UnsafeMutableBufferPointer<LoadGrant> = .init(start: nil, count: 0)
  private(set) var storeGrants: UnsafeMutableBufferPointer<StoreGrant> = .init(start: nil, count: 0)

  deinit { release() }

  /// Makes room for a request of `count` blocks; what was in the arrays is lost.
  func reserve(_ count: Int) {
    guard count > keys.count else { return }
    release()
    let capacity = max(Limits.requestBlockCountMin, count + count / 2)
    keys = .allocate(capacity: capacity)
    states = .allocate(capacity: capacity)
    loadGrants = .allocate(capacity: capacity)
    storeGrants = .allocate(capacity: capacity)
    states.initialize(repeating: .absent)
    let nowhere = SlotNumber(rawValue: 0)
    loadGrants.initialize(repeating: LoadGrant(outcome: .missing, slot: nowhere, generation: 0))
    storeGrants.initialize(repeating: StoreGrant(outcome: .refused, slot: nowhere, generation: 0))
  }

  private func release() {
    keys.deallocate()
    states.deallocate()
    loadGrants.deallocate()
    storeGrants.deallocate()
  }
}
