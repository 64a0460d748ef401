import CRoostPlatform
import Glibc
import RoostPrimitives
import RoostStorage

/// A queue on threads that each do one operation at a time: for kernels and containers without io_uring.
final class ThreadQueue: StorageQueue {
  private struct State {
    var waiting: [StorageOperation] = []
    var head = 0
    var completed: [StorageCompletion] = []
    var isClosing = false
  }

  private final class Work: Sendable {
    let state = Guarded(State())
    /// Rung when there is work.
    let arrival = Doorbell()
    /// Rung when there are completions.
    let completion = Doorbell()

    func take() -> StorageOperation? {
      state.withLock { state in
        guard state.head < state.waiting.count else { return nil }
        defer {
          state.head += 1
          if state.head == state.waiting.count {
            state.waiting.removeAll(keepingCapacity: true)
            state.head = 0
          }
        }
        return state.waiting[state.head]
      }
    }

    func run() {
      while true {
        let rings = arrival.ringCount
        if let operation = take() {
          let completed = StorageCompletion(token: operation.token, result: ThreadQueue.perform(operation))
          state.withLock { $0.completed.append(completed) }
          completion.ring()
        } else if state.withLock({ $0.isClosing }) {
          return
        } else {
          arrival.wait(past: rings, spinNanoseconds: 0, until: .never)
        }
      }
    }
  }

  private let work = Work()
  private let threads: Locked<[HostThread]>
  private let isDirect: Bool

  init(threadCount: Int, isDirect: Bool) throws(RoostError) {
    self.isDirect = isDirect
    var threads: [HostThread] = []
    let work = self.work
    for number in 0..<max(1, threadCount) {
      do throws(RoostError) {
        threads.append(try HostThread.start("roost-disk-\(number)") { work.run() })
      } catch {
        // A few threads are slower than many, and better than none.
        if threads.isEmpty { throw error }
      }
    }
    self.threads = Locked(threads)
  }

  deinit { close() }

  var description: String { "threads, " + (isDirect ? "direct" : "cached") }

  var alignment: Int { isDirect ? Limits.granuleBytes : 1 }

  func submit(_ operations: [StorageOperation]) {
    work.state.withLock { $0.waiting += operations }
    work.arrival.ring()
  }

  func poll(into completions: inout [StorageCompletion]) {
    work.state.withLock { state in
      completions += state.completed
      state.completed.removeAll(keepingCapacity: true)
    }
  }

  func wait(until deadline: Deadline) -> Bool {
    let rings = work.completion.ringCount
    if work.state.withLock({ !$0.completed.isEmpty }) { return true }
    return work.completion.wait(past: rings, spinNanoseconds: 0, until: deadline)
  }

  func close() {
    work.state.withLock { $0.isClosing = true }
    work.arrival.ring()
    let running = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for thread in running { thread.join() }
  }

  private static func perform(_ operation: StorageOperation) -> Int {
    guard let file = operation.file as? DiskFile else { preconditionFailure("a file of another storage") }
    var parts = [
      iovec(iov_base: operation.first.baseAddress, iov_len: operation.first.count),
      iovec(iov_base: operation.second.baseAddress, iov_len: operation.second.count),
    ]
    let count: CInt = operation.second.count > 0 ? 2 : 1
    switch operation.kind {
    case .read: return Int(roost_file_read(file.queueDescriptor, &parts, count, Int64(operation.offset)))
    case .write: return Int(roost_file_write(file.queueDescriptor, &parts, count, Int64(operation.offset)))
    case .sync: return fdatasync(file.queueDescriptor) == 0 ? 0 : -Int(errno)
    }
  }
}
