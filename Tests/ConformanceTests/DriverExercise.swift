import CRoostVendors
import RoostDevice
import RoostPrimitives
import Testing

/// A function of a vendor's library.
struct VendorFunction: Sendable, CustomTestStringConvertible {
  /// Without the vendor's prefix.
  let name: String
  let isRequired: Bool
  var testDescription: String { name }

  /// All of a vendor's.
  static func all(in list: roost_symbol_list) -> [VendorFunction] {
    (0..<list.count).map {
      VendorFunction(name: String(cString: list.symbols[$0].name), isRequired: list.symbols[$0].is_required)
    }
  }
}

/// Does a little of everything, and goes on after each error. Returns what went wrong.
func exercise<Driver: DeviceDriver>(_ open: () throws -> DrivenDevice<Driver>) -> [String] {
  var errors: [String] = []
  func attempt<Result>(_ body: () throws -> Result) -> Result? {
    do { return try body() } catch {
      errors.append("\(error)")
      return nil
    }
  }
  guard let device = attempt({ try open() }) else { return errors }
  let can = device.description.capabilities
  let size = 64 << 10
  let patience = Deadline.after(seconds: 20)
  let host = attempt { try device.allocateHost(byteCount: size) }
  let memory = attempt { try device.allocate(byteCount: size) }
  let own = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
  defer { own.deallocate() }
  let range = HostMemory(address: UInt(bitPattern: own.baseAddress), byteCount: size)
  let isRegistered = attempt { try device.registerHost(range) } != nil
  _ = attempt { try device.driver.freeMemoryBytes() }
  if let stream = attempt({ try device.makeStream(priority: .high) }), let event = attempt({ try device.makeEvent() }),
    let host, let memory
  {
    for bytes in [host.address, range.address] {
      let pieces = (0..<32).map {
        CopyPiece(source: bytes + $0 * 512, target: memory.address + $0 * 512, byteCount: 512)
      }
      _ = attempt { try stream.copy(pieces[0], .hostToDevice) }
      _ = attempt { try pieces.withUnsafeBufferPointer { try stream.copy($0, .hostToDevice) } }
      _ = attempt { try pieces[..<4].withUnsafeBufferPointer { try stream.copy($0, .hostToDevice) } }
    }
    let rows = StridedCopy(
      source: memory.address, target: host.address, rowByteCount: 16, rowCount: 4, sourcePitch: 32, targetPitch: 16)
    if can.contains(.stridedCopy) { _ = attempt { try stream.copy(rows, .deviceToHost) } }
    _ = attempt { try stream.record(event) }
    _ = attempt { try stream.wait(for: event) }
    if can.contains(.hostCallbacks) { _ = attempt { try stream.enqueue {} } }
    _ = attempt { try event.wait(until: patience) }
    _ = attempt { try stream.wait(until: patience) }
    if can.contains(.eventTiming) { _ = attempt { try event.secondsSince(event) } }
    if case .failed(let error) = stream.query() { errors.append("\(error)") }
    stream.reset()
    _ = attempt { try device.synchronize(until: patience) }
  }
  if let memory { _ = attempt { try device.exportMemory(memory) } }
  // Twice: a call that failed once has freed nothing.
  if isRegistered, attempt({ try device.unregisterHost(range) }) == nil {
    _ = attempt { try device.unregisterHost(range) }
  }
  if let memory, attempt({ try device.free(memory) }) == nil { _ = attempt { try device.free(memory) } }
  if let host, attempt({ try device.freeHost(host) }) == nil { _ = attempt { try device.freeHost(host) } }
  return errors
}
