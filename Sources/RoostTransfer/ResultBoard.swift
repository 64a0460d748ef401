import RoostPrimitives
import Synchronization

/// Results that nobody has taken yet. Thread-safe.
final class ResultBoard: Sendable {
  private struct State {
    var results: [TransferTicket: TransferResult] = [:]
    var openCount = 0
  }

  private let state = Locked(State())
  /// Rings with every result.
  let bell = Doorbell()

  /// Counts a new job; throws if too many are open.
  func open() throws(RoostError) {
    let fits = state.withLock { state in
      guard state.openCount < Limits.jobCountMax else { return false }
      state.openCount += 1
      return true
    }
    guard fits else {
      throw RoostError(.outOfResources, "\(Limits.jobCountMax) jobs wait to be polled; poll for their results")
    }
  }

  /// Takes back `open`, for a job that never came to be.
  func abandon() { state.withLock { $0.openCount -= 1 } }

  /// Adds the result of an open job.
  func post(_ result: TransferResult) {
    state.withLock { $0.results[result.ticket] = result }
    bell.ring()
  }

  /// Takes one result.
  func take(_ ticket: TransferTicket) -> TransferResult? {
    state.withLock { state in
      guard let result = state.results.removeValue(forKey: ticket) else { return nil }
      state.openCount -= 1
      return result
    }
  }

  /// Takes all results, oldest job first, and appends them.
  func takeAll(into results: inout [TransferResult]) -> Int {
    let taken = state.withLock { state -> [TransferResult] in
      guard !state.results.isEmpty else { return [] }
      let all = Array(state.results.values)
      state.results.removeAll(keepingCapacity: true)
      state.openCount -= all.count
      return all
    }
    results += taken.count > 1 ? taken.sorted { $0.ticket < $1.ticket } : taken
    return taken.count
  }
}
