import RoostDevice
import RoostPrimitives

extension DeviceSuite {
  static let streamChecks: [Check] = [
    check("does the work of a stream in the order of its submission", keepsOrder),
    check("says that a stream is idle before its work and after it", isIdle),
    check("makes streams of both priorities", hasPriorities),
    check("finishes the work of a stream that nobody has any more", finishesAbandoned),
    check("waits for every stream", synchronizes),
    check("takes work from many threads", takesThreads),
    holdingCheck("says that a stream is busy, and stops waiting for it at the deadline", isBusy),
    holdingCheck("lets streams pass each other", passes),
  ]

  private static func keepsOrder(_ trial: DeviceTrial) throws(RoostError) {
    let size = 20_000
    let stream = try trial.device.makeStream(priority: .normal)
    let bytes = try trial.hostBytes(size, seed: 0)
    let result = try trial.hostBytes(size, seed: 1)
    let first = try trial.deviceMemory(size)
    let second = try trial.deviceMemory(size)
    let count = UInt(size)
    for round in 0..<20 as Range<UInt64> {
      let source = try trial.hostBytes(size, seed: round)
      try stream.copy(CopyPiece(source: source.address, target: first.address, byteCount: count), .hostToDevice)
      try stream.copy(CopyPiece(source: first.address, target: second.address, byteCount: count), .deviceToDevice)
      try stream.copy(CopyPiece(source: second.address, target: result.address, byteCount: count), .deviceToHost)
      // Overwrites what the copy before it reads.
      try stream.copy(CopyPiece(source: bytes.address, target: second.address, byteCount: count), .hostToDevice)
      try stream.wait(until: trial.patience)
      trial.expect(result.equals(source), "round \(round): a copy overtook another one on the same stream")
    }
  }

  private static func isIdle(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    trial.expect(stream.query().isIdle, "a new stream is not idle")
    try stream.wait(until: trial.patience)
    let memory = try trial.deviceMemory(4096)
    let bytes = try trial.hostBytes(4096, seed: 1)
    try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 4096), .hostToDevice)
    try stream.wait(until: trial.patience)
    trial.expect(trial.becomesIdle(stream), "a stream that was waited for is not idle")
    try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 4096), .hostToDevice)
    trial.expect(trial.becomesIdle(stream), "a stream that is only asked never becomes idle")
  }

  private static func hasPriorities(_ trial: DeviceTrial) throws(RoostError) {
    for priority in StreamPriority.allCases {
      let stream = try trial.device.makeStream(priority: priority)
      trial.expect(stream.priority == priority, "a stream of priority \(priority) says \(stream.priority)")
      let memory = try trial.deviceMemory(100)
      let bytes = try trial.hostBytes(100, seed: 1)
      try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 100), .hostToDevice)
      try stream.wait(until: trial.patience)
      trial.expect(try trial.contents(memory).equals(bytes), "a stream of priority \(priority) copies wrong bytes")
    }
  }

  private static func finishesAbandoned(_ trial: DeviceTrial) throws(RoostError) {
    let bytes = try trial.hostBytes(8192, seed: 1)
    let memory = try trial.deviceMemory(8192, seed: 2)
    let event = try trial.device.makeEvent()
    do {
      let stream = try trial.device.makeStream(priority: .normal)
      for offset in stride(from: 0, to: 8192 as UInt, by: 64) {
        try stream.copy(
          CopyPiece(source: bytes.address + offset, target: memory.address + offset, byteCount: 64), .hostToDevice)
      }
      try stream.record(event)
    }
    try event.wait(until: trial.patience)
    trial.expect(try trial.contents(memory).equals(bytes), "work was lost with the stream's last reference")
  }

  private static func synchronizes(_ trial: DeviceTrial) throws(RoostError) {
    try trial.device.synchronize(until: trial.patience)
    let bytes = try trial.hostBytes(4096, seed: 1)
    var streams: [any DeviceStream] = []
    var results: [UnsafeMutableRawBufferPointer] = []
    for number in 0..<6 as Range<UInt64> {
      let stream = try trial.device.makeStream(priority: number % 2 == 0 ? .normal : .high)
      let memory = try trial.deviceMemory(4096)
      let result = try trial.hostBytes(4096, seed: 2 + number)
      try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 4096), .hostToDevice)
      try stream.copy(CopyPiece(source: memory.address, target: result.address, byteCount: 4096), .deviceToHost)
      streams.append(stream)
      results.append(result)
    }
    try trial.device.synchronize(until: trial.patience)
    trial.expect(results.allSatisfy { $0.equals(bytes) }, "a stream had not ended")
    trial.expect(streams.allSatisfy { trial.becomesIdle($0) }, "a stream is not idle")
  }

  private static func takesThreads(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let bytes = try trial.hostBytes(4 * 6400, seed: 1)
    let memory = try trial.deviceMemory(4 * 6400, seed: 2)
    let source = bytes.address
    var threads: [HostThread] = []
    for thread in 0..<4 as Range<UInt> {
      threads.append(
        try HostThread.start("submitter") {
          for piece in 0..<100 as Range<UInt> {
            let offset = thread * 6400 + piece * 64
            // A refusal shows in the bytes.
            try? stream.copy(
              CopyPiece(source: source + offset, target: memory.address + offset, byteCount: 64), .hostToDevice)
          }
        })
    }
    for thread in threads { thread.join() }
    try stream.wait(until: trial.patience)
    trial.expect(try trial.contents(memory).equals(bytes), "copies that four threads submitted are not all there")
  }

  private static func isBusy(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let bytes = try trial.hostBytes(64, seed: 1)
    let memory = try trial.deviceMemory(64)
    let release = try trial.hold(stream)
    defer { release() }
    try stream.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 64), .hostToDevice)
    trial.expect(stream.query().isBusy, "a held stream is not busy")
    trial.expectError(.timedOut, "waiting for a held stream") { () throws(RoostError) in
      try stream.wait(until: trial.instant)
    }
    trial.expectError(.timedOut, "waiting for a device with a held stream") { () throws(RoostError) in
      try trial.device.synchronize(until: trial.instant)
    }
    release()
    try stream.wait(until: trial.patience)
    trial.expect(trial.becomesIdle(stream), "a stream that was let go is not idle")
  }

  private static func passes(_ trial: DeviceTrial) throws(RoostError) {
    let held = try trial.device.makeStream(priority: .high)
    let other = try trial.device.makeStream(priority: .normal)
    let bytes = try trial.hostBytes(64, seed: 1)
    let memory = try trial.deviceMemory(64)
    let release = try trial.hold(held)
    defer { release() }
    try held.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 64), .hostToDevice)
    try other.copy(CopyPiece(source: bytes.address, target: memory.address, byteCount: 64), .hostToDevice)
    try other.wait(until: trial.patience)
    trial.expect(held.query().isBusy, "the held stream went on")
    release()
    try held.wait(until: trial.patience)
  }
}

extension StreamStatus {
  var isIdle: Bool {
    if case .idle = self { return true }
    return false
  }

  var isBusy: Bool {
    if case .busy = self { return true }
    return false
  }

  var error: RoostError? {
    if case .failed(let error) = self { return error }
    return nil
  }
}
