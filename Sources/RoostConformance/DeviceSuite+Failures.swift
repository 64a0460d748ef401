import RoostDevice
import RoostPrimitives
import Synchronization

extension DeviceSuite {
  static let failureChecks: [Check] = [
    check("a copy that leads nowhere fails its stream until it is reset", failsStream),
    check("a stream keeps its first error", keepsFirstError),
    check("a stream that fails does not take others with it", failsAlone),
    check("an event completes although its stream has failed", completesAfterFailure),
    check("rows that make no sense fail the stream", needs: .stridedCopy, failsOnRows),
    check("a host function is called although its stream has failed", needs: .hostCallbacks, callsAfterFailure),
    holdingCheck("a reset does not bring back what was submitted before it", skipsAcrossReset),
  ]

  private static let nowhere = CopyPiece(source: 0, target: 0, byteCount: 16)

  /// A stream and a good copy for it: 64 bytes from a seed, which can be seen to have been made.
  private struct Probe {
    let stream: any DeviceStream
    let bytes: UnsafeMutableRawBufferPointer
    let memory: DeviceMemory

    init(_ trial: DeviceTrial) throws(RoostError) {
      stream = try trial.device.makeStream(priority: .normal)
      bytes = try trial.hostBytes(64, seed: 1)
      memory = try trial.deviceMemory(64, seed: 2)
    }

    func copy() throws(RoostError) {
      try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 64), .hostToDevice)
    }

    func isCopied(_ trial: DeviceTrial) throws(RoostError) -> Bool { try trial.contents(memory).equals(bytes) }

    /// Makes the stream fail, and waits until it has.
    func fail(_ trial: DeviceTrial) throws(RoostError) {
      try stream.copy(nowhere, .deviceToHost)
      trial.expectError(.invalidInput, "waiting for a copy that leads nowhere") { () throws(RoostError) in
        try stream.wait(until: trial.patience)
      }
    }
  }

  private static func failsStream(_ trial: DeviceTrial) throws(RoostError) {
    let probe = try Probe(trial)
    try probe.fail(trial)
    trial.expect(probe.stream.query().error?.code == .invalidInput, "a failed stream does not say so")
    // A device may refuse the copy at once, or skip it.
    try? probe.copy()
    try? probe.stream.wait(until: trial.patience)
    trial.expect(try !probe.isCopied(trial), "a failed stream went on copying")
    probe.stream.reset()
    trial.expect(probe.stream.query().error == nil, "a stream has an error after it was reset")
    try probe.copy()
    try probe.stream.wait(until: trial.patience)
    trial.expect(try probe.isCopied(trial), "a stream does not copy after it was reset")
  }

  private static func keepsFirstError(_ trial: DeviceTrial) throws(RoostError) {
    let probe = try Probe(trial)
    try probe.fail(trial)
    let first = probe.stream.query().error?.description
    let beyond = CopyPiece(source: probe.memory.address, target: .max - 3, byteCount: 16)
    try? probe.stream.copy(beyond, .deviceToHost)
    try? probe.stream.wait(until: trial.patience)
    trial.expect(probe.stream.query().error?.description == first, "a later error replaced the first one")
  }

  private static func failsAlone(_ trial: DeviceTrial) throws(RoostError) {
    let failing = try Probe(trial)
    let healthy = try Probe(trial)
    try failing.fail(trial)
    try healthy.copy()
    try healthy.stream.wait(until: trial.patience)
    trial.expect(try healthy.isCopied(trial), "a stream does not copy because another one failed")
    trial.expectError(.invalidInput, "waiting for a device with a failed stream") { () throws(RoostError) in
      try trial.device.synchronize(until: trial.patience)
    }
    failing.stream.reset()
    try trial.device.synchronize(until: trial.patience)
  }

  private static func completesAfterFailure(_ trial: DeviceTrial) throws(RoostError) {
    let failing = try Probe(trial)
    let waiting = try Probe(trial)
    let event = try trial.device.makeEvent()
    try failing.stream.copy(nowhere, .deviceToHost)
    try failing.stream.record(event)
    try waiting.stream.wait(for: event)
    try waiting.copy()
    try event.wait(until: trial.patience)
    try waiting.stream.wait(until: trial.patience)
    trial.expect(try waiting.isCopied(trial), "a stream that waited for a failed one does not go on")
  }

  private static func failsOnRows(_ trial: DeviceTrial) throws(RoostError) {
    let probe = try Probe(trial)
    let (source, target) = (probe.memory.address, probe.bytes.address)
    let senseless = [
      StridedCopy(source: 0, target: target, rowByteCount: 1, rowCount: 1, sourcePitch: 1, targetPitch: 1),
      StridedCopy(source: source, target: 0, rowByteCount: 1, rowCount: 1, sourcePitch: 1, targetPitch: 1),
      StridedCopy(source: source, target: target, rowByteCount: 10, rowCount: 2, sourcePitch: 9, targetPitch: 10),
      StridedCopy(source: source, target: target, rowByteCount: -1, rowCount: 2, sourcePitch: 9, targetPitch: 10),
      StridedCopy(source: source, target: target, rowByteCount: 1, rowCount: .max, sourcePitch: 9, targetPitch: 10),
    ]
    for rows in senseless {
      trial.expectError(.invalidInput, "copying \(rows)") { () throws(RoostError) in
        try probe.stream.copy(rows, .deviceToHost)
        try probe.stream.wait(until: trial.patience)
      }
      probe.stream.reset()
    }
  }

  private static func callsAfterFailure(_ trial: DeviceTrial) throws(RoostError) {
    let probe = try Probe(trial)
    try probe.fail(trial)
    let calls = CallCount()
    try probe.stream.enqueue { calls.add() }
    // Throws the stream's error, and waits all the same.
    try? probe.stream.wait(until: trial.patience)
    trial.expect(calls.value == 1, "the host function was called \(calls.value) times")
  }

  private static func skipsAcrossReset(_ trial: DeviceTrial) throws(RoostError) {
    let probe = try Probe(trial)
    try probe.fail(trial)
    let release = try trial.hold(probe.stream)
    defer { release() }
    // A device may refuse it at once.
    try? probe.copy()
    probe.stream.reset()
    release()
    try probe.stream.wait(until: trial.patience)
    trial.expect(try !probe.isCopied(trial), "a copy was made that had been submitted to the failed stream")
  }
}

/// Counts from any thread.
final class CallCount: Sendable {
  private let count = Atomic(0)
  var value: Int { count.load(ordering: .acquiring) }
  func add() { count.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}
