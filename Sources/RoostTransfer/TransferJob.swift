import RoostDevice
import RoostPrimitives

/// Which way pages go.
public enum TransferDirection: UInt8, Sendable, CaseIterable {
  /// From the device to slots.
  case store
  /// From slots to the device.
  case load
}

/// One page to copy.
public struct PageCopy: Hashable, Sendable {
  /// The block on the device.
  public var block: UInt32
  /// The host address of the slot's first byte.
  public var slotAddress: UInt

  /// Names a page.
  public init(block: UInt32, slotAddress: UInt) {
    self.block = block
    self.slotAddress = slotAddress
  }
}

/// What a job does with its list of pages.
public struct TransferJob: Sendable {
  /// Which way.
  public var direction: TransferDirection
  /// How a page is copied.
  public var template: PageTemplate
  /// Copies wait for this event's last recording: for a store the computation that wrote the pages, for a load the last
  /// reader of what is overwritten. It must have been recorded before the job is submitted.
  public var fence: (any DeviceEvent)?
  /// The caller goes on to wait for this very job. If it is too large to be started by `submit`, `wait` starts it, and no
  /// thread is woken, which takes longer than the whole of `submit`. Without a `wait` it starts with the next `poll`.
  public var isAwaited: Bool

  /// Describes a job.
  public init(
    _ direction: TransferDirection, template: PageTemplate, fence: (any DeviceEvent)? = nil, isAwaited: Bool = false
  ) {
    self.direction = direction
    self.template = template
    self.fence = fence
    self.isAwaited = isAwaited
  }
}

/// Names a job within its queue.
public struct TransferTicket: RawRepresentable, Hashable, Comparable, Sendable {
  /// Counts up; the lowest bit is the direction.
  public let rawValue: UInt64
  /// Wraps a number that a queue gave out.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  init(count: UInt64, direction: TransferDirection) { rawValue = count << 1 | UInt64(direction.rawValue) }

  /// Which way the job goes.
  public var direction: TransferDirection { rawValue & 1 == 0 ? .store : .load }

  /// Orders by age.
  public static func < (left: TransferTicket, right: TransferTicket) -> Bool { left.rawValue < right.rawValue }
}

/// How a job ended. All pages of a job share one outcome: a device does not say which piece of a batch failed.
public struct TransferResult: Sendable {
  /// Which job.
  public var ticket: TransferTicket
  /// How it went.
  public var outcome: Outcome
  /// Pages of the job.
  public var pageCount: Int
  /// Bytes that were copied; 0 unless it is `done`.
  public var byteCount: Int
  /// Seconds from the start of the first copy to the end of the last, by the device's events where it measures time;
  /// waiting for earlier jobs and for the fence left out there.
  public var seconds: Double

  /// How a job went.
  public enum Outcome: Sendable {
    /// Every page is copied.
    case done
    /// It was cancelled before anything was copied.
    case cancelled
    /// The device failed, or refused. Any part of the pages may have been written, and nothing is written any more.
    case failed(RoostError)
  }

  /// Whether every page was copied.
  public var isDone: Bool {
    if case .done = outcome { return true }
    return false
  }
}
