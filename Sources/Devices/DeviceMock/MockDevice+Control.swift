import RoostDevice
import RoostPrimitives

/// What a test does to the mock behind the back of those who use it.
extension MockDevice {
  /// Makes one turn of one stream; false: no stream can go on.
  @discardableResult public func step() -> Bool { machine.step() }

  /// Steps so far: calls that allocate or submit, and turns that copy or record. See `MockFault`.
  public var stepCount: Int { machine.state.withLock { $0.faults.stepCount } }

  /// The faults that have happened, in their order, each with the step at which it has.
  public var firedFaults: [MockFault] { machine.state.withLock { $0.faults.fired } }

  /// Whether the device is lost.
  public var isLost: Bool { machine.state.withLock { $0.schedule.loss != nil } }

  /// A fingerprint of which stream did what in which order; the same for the same seed and calls.
  public var history: UInt64 { machine.state.withLock { $0.schedule.history } }

  /// Holds a stream of this device before its next operation, until `resume`.
  ///
  /// - Throws: `invalidInput` for a stream of another device.
  public func hold(_ stream: any DeviceStream) throws(RoostError) {
    guard let stream = stream as? MockStream, stream.machine === machine else {
      throw RoostError(.invalidInput, "the stream belongs to another device")
    }
    machine.state.withLock { $0.schedule.hold(stream.lane) }
  }

  /// Lets every stream that is held, or that a fault made stand still, go on.
  public func resume() {
    machine.state.withLock { $0.schedule.resume() }
    machine.bell.ring()
  }

  /// Device memory as the device sees it: for a test that plays the model that computes on it, and for looking what is
  /// there. Valid until the memory is freed.
  ///
  /// - Throws: `invalidInput` if the memory is not allocated.
  public func view(of memory: DeviceMemory) throws(RoostError) -> UnsafeMutableRawBufferPointer {
    let view = machine.state.withLock { $0.memory.view(memory.address, UInt(memory.byteCount)) }
    guard let view else { throw RoostError(.invalidInput, "there is no such device memory") }
    return UnsafeMutableRawBufferPointer(start: view, count: memory.byteCount)
  }
}
