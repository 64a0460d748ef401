import RoostDevice
import RoostPrimitives

/// A piece of host memory by way of which the host reads and writes device memory that it cannot address. Slow, and for
/// benchmarks and tests; one at a time, the caller sees to it.
final class DeviceBounce: Sendable {
  private let device: any Device
  private let stream: any DeviceStream
  private let memory: HostMemory

  /// Takes memory of the device's own kind.
  init(_ device: any Device, byteCount: Int) throws(RoostError) {
    self.device = device
    stream = try device.makeStream(priority: .normal)
    memory = try device.allocateHost(byteCount: byteCount)
  }

  deinit {
    // Nothing can be done about a device that does not take its memory back.
    try? device.freeHost(memory)
  }

  /// The host's memory.
  var bytes: UnsafeMutableRawPointer? { memory.bytes.baseAddress }

  /// Copies the first bytes to or from the device, and waits. False if the device failed.
  func copy(_ byteCount: Int, _ address: UInt, _ direction: CopyDirection) -> Bool {
    let isLoad = direction == .hostToDevice
    let piece = CopyPiece(
      source: isLoad ? memory.address : address, target: isLoad ? address : memory.address, byteCount: UInt(byteCount))
    do throws(RoostError) {
      try stream.copy(piece, direction)
      try stream.wait(until: .after(seconds: Limits.bounceSeconds))
      return true
    } catch {
      Log.write(.error, "\(device.description.uri): \(error)")
      stream.reset()
      return false
    }
  }
}
