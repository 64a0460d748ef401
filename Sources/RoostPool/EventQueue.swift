import RoostPrimitives
import Synchronization

/// Events on their way from the thread that serves the socket to the application. Thread-safe.
final class EventQueue: Sendable {
  private struct Content {
    var events: [PoolEvent] = []
    var isClosed = false
  }

  private let content = Locked(Content())
  private let doorbell = Doorbell()

  /// Adds an event. Whoever adds messages looks at `isFull` first; the others are few.
  func append(_ event: PoolEvent) {
    content.withLock { $0.events.append(event) }
    doorbell.ring()
  }

  /// Whether the application is so far behind that nothing more should be read.
  var isFull: Bool { content.withLock { $0.events.count >= Limits.incomingCountMax } }

  /// Takes everything, without waiting.
  func take() -> [PoolEvent] {
    content.withLock { content in
      var events: [PoolEvent] = []
      swap(&events, &content.events)
      return events
    }
  }

  /// Takes everything; waits until there is something, or the deadline has passed, or the queue is closed.
  func take(until deadline: Deadline) -> [PoolEvent] {
    while true {
      let count = doorbell.ringCount
      let events = take()
      if !events.isEmpty || content.withLock({ $0.isClosed }) || deadline.hasPassed() { return events }
      doorbell.wait(past: count, spinNanoseconds: 0, until: deadline)
    }
  }

  /// Waits until there is something to take, or the deadline has passed, or the queue is closed.
  func wait(until deadline: Deadline) {
    while true {
      let count = doorbell.ringCount
      let isDone = content.withLock { $0.isClosed || !$0.events.isEmpty }
      if isDone || deadline.hasPassed() { return }
      doorbell.wait(past: count, spinNanoseconds: Limits.eventSpinNanoseconds, until: deadline)
    }
  }

  /// Wakes all who wait; nobody waits from now on.
  func close() {
    content.withLock { $0.isClosed = true }
    doorbell.ring()
  }
}
