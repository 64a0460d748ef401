import RoostPrimitives
import Synchronization

/// A host function on its way through a stream. Called once: by the driver in its turn, or, when the device is lost and
/// the driver will never come, by whoever finds that out.
final class HostCall: Sendable {
  private let action: @Sendable () -> Void
  private let isTaken = Atomic(false)
  private let board: HostCallBoard

  init(_ action: @escaping @Sendable () -> Void, on board: HostCallBoard) {
    self.action = action
    self.board = board
  }

  /// Calls the function unless somebody has.
  func run() {
    guard isTaken.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else {
      return
    }
    board.remove(self)
    action()
  }

  /// What the driver calls: takes the reference that was passed.
  static let entry: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
    guard let context else { return }
    Unmanaged<HostCall>.fromOpaque(context).takeRetainedValue().run()
  }
}

/// The host functions of one device that have not been called. An object of its own, so that a call which runs on the
/// driver's thread never holds the last reference to the device: letting go of that calls the driver.
final class HostCallBoard: Sendable {
  private let waiting = Locked<[ObjectIdentifier: HostCall]>([:])

  func add(_ call: HostCall) { waiting.withLock { $0[ObjectIdentifier(call)] = call } }

  func remove(_ call: HostCall) { waiting.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(call)) } }

  /// Calls all of them, in any order.
  func runAll() { for call in waiting.withLock({ Array($0.values) }) { call.run() } }
}
