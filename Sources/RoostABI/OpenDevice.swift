import RoostDevice
import RoostPrimitives

/// A device that a caller has opened, with what its copies still need.
///
/// Whatever a copy reads or writes must stay until the stream has passed it, whatever the caller closes meanwhile. So every
/// copy is followed by an event, and the device holds what the copy needs until that is complete and somebody asks: whoever
/// waits, queries, frees or allocates, or every so many copies. Not every call, so that a mock stays as late as it can be.
/// Blocks hold their device: one that is closed with copies in flight stays until they have ended. Thread-safe.
final class OpenDevice: Sendable {
  let device: any Device

  private struct Flight {
    /// Nil: nobody will ever know when the copies have ended.
    var event: (any DeviceEvent)?
    var needs: [any AnyObject & Sendable]
  }

  private struct State {
    var flights: [Flight] = []
    /// So many flights make the next copy ask which have ended. Twice those that had not, so that asking stays cheap.
    var askCount = Limits.flightCountUsual
    var blockCount = 0
    var blockBytes = 0
  }

  private let state: Locked<State>

  init(_ device: any Device) {
    self.device = device
    state = Locked(State())
  }

  /// Blocks that hold memory, and how much.
  var usage: (blockCount: Int, byteCount: Int) {
    release()
    return state.withLock { ($0.blockCount, $0.blockBytes) }
  }

  fileprivate func count(_ blocks: Int, bytes: Int) {
    state.withLock { state in
      state.blockCount += blocks
      state.blockBytes += bytes
    }
  }

  /// Throws if so many copies are in flight that nobody can be asking any more.
  func admit() throws(RoostError) {
    guard state.withLock({ $0.flights.count >= $0.askCount }) else { return }
    release()
    let left = state.withLock { state in
      state.askCount = min(Limits.flightCountMax, max(Limits.flightCountUsual, 2 * state.flights.count))
      return state.flights.count
    }
    guard left < Limits.flightCountMax else {
      throw RoostError(.outOfResources, "\(Limits.flightCountMax) copies are in flight; wait for some")
    }
  }

  /// Holds what the copies that were just handed to a stream need.
  func hold(_ needs: [any AnyObject & Sendable], for stream: any DeviceStream) {
    var event: (any DeviceEvent)?
    do throws(RoostError) {
      let mark = try device.makeEvent()
      try stream.record(mark)
      event = mark
    } catch {
      Log.write(.warning, "memory of a copy stays allocated, because its end cannot be seen: \(error)")
    }
    let flight = Flight(event: event, needs: needs)
    state.withLock { $0.flights.append(flight) }
  }

  /// Lets go of what copies that have ended needed.
  func release() {
    // Asked without the lock: a mock makes turns while it is asked.
    var flights = state.withLock { state in
      defer { state.flights = [] }
      return state.flights
    }
    flights.removeAll { $0.event?.isComplete ?? false }
    let left = flights
    if !left.isEmpty { state.withLock { $0.flights += left } }
  }
}

/// Device memory that belongs to a caller and to the copies that use it; freed with the last of them.
final class DeviceBlock: Sendable {
  let owner: OpenDevice
  let memory: DeviceMemory

  init(of owner: OpenDevice, byteCount: Int) throws(RoostError) {
    self.owner = owner
    memory = try owner.device.allocate(byteCount: byteCount)
    owner.count(1, bytes: byteCount)
  }

  deinit {
    owner.count(-1, bytes: -memory.byteCount)
    do throws(RoostError) {
      try owner.device.free(memory)
    } catch {
      Log.write(.warning, "memory of \(owner.device.description.uri) cannot be freed: \(error)")
    }
  }
}

/// A stream and its device.
final class OpenStream: Sendable {
  let owner: OpenDevice
  let stream: any DeviceStream

  init(of owner: OpenDevice, priority: StreamPriority) throws(RoostError) {
    self.owner = owner
    stream = try owner.device.makeStream(priority: priority)
  }

  /// Hands copies to the stream, and holds what they need.
  func copy(
    _ pieces: UnsafeBufferPointer<CopyPiece>, _ direction: CopyDirection, needing needs: [any AnyObject & Sendable]
  ) throws(RoostError) {
    // Even a refused copy may have begun.
    defer { owner.hold(needs, for: stream) }
    try stream.copy(pieces, direction)
  }
}

/// An event and its device.
final class OpenEvent: Sendable {
  let owner: OpenDevice
  let event: any DeviceEvent

  init(of owner: OpenDevice) throws(RoostError) {
    self.owner = owner
    event = try owner.device.makeEvent()
  }
}

extension HandleTable {
  func device(_ handle: UInt64) throws(RoostError) -> OpenDevice {
    // The kind is part of the handle and was checked; so below.
    unsafeDowncast(try find(handle, .device), to: OpenDevice.self)
  }

  func stream(_ handle: UInt64) throws(RoostError) -> OpenStream {
    // As above.
    unsafeDowncast(try find(handle, .stream), to: OpenStream.self)
  }

  func event(_ handle: UInt64) throws(RoostError) -> OpenEvent {
    // As above.
    unsafeDowncast(try find(handle, .event), to: OpenEvent.self)
  }

  func block(_ handle: UInt64) throws(RoostError) -> DeviceBlock {
    // As above.
    unsafeDowncast(try find(handle, .block), to: DeviceBlock.self)
  }
}
