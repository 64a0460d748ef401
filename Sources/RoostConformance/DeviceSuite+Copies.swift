import Glibc
import RoostDevice
import RoostPrimitives

extension DeviceSuite {
  static let copyChecks: [Check] = [
    check("copies every length and alignment and not a byte more", copiesEveryLength),
    check("copies batches of pieces that lie anywhere", copiesBatches),
    check("takes the pieces as they are when it is called", takesPiecesAtOnce),
    check("copies within the device", copiesWithin),
    check("copies rows and leaves what lies between them", needs: .stridedCopy, copiesRows),
    check("copies nothing for empty pieces wherever they point", copiesNothing),
    check("agrees with a model of memory under random copies", agreesWithModel),
  ]

  private static func copiesEveryLength(_ trial: DeviceTrial) throws(RoostError) {
    let size = 3 * 4096
    let stream = try trial.device.makeStream(priority: .normal)
    let source = try trial.hostBytes(size, seed: 1)
    let before = try trial.hostBytes(size, seed: 2)
    let target = try trial.hostBytes(size, seed: 2)
    let memory = try trial.deviceMemory(size, seed: 2)
    for byteCount in [1, 2, 3, 7, 8, 31, 63, 64, 65, 127, 4095, 4096, 4097, 8191] {
      for (from, to) in [(0, 0), (1, 0), (0, 1), (63, 64), (5, 3)] {
        DeviceTrial.fill(target, seed: 2)
        let device = memory.address + UInt(to)
        let count = UInt(byteCount)
        try stream.copy(CopyPiece(source: source.address + UInt(from), target: device, byteCount: count), .hostToDevice)
        try stream.copy(CopyPiece(source: device, target: target.address + UInt(from), byteCount: count), .deviceToHost)
        try stream.wait(until: trial.patience)
        let range = from..<from + byteCount
        let isRight = target.part(range).equals(source.part(range))
        trial.expect(isRight, "\(byteCount) bytes from \(from) to \(to) came back wrong")
        let isClean =
          target.part(0..<from).equals(before.part(0..<from))
          && target.part(range.upperBound..<size).equals(before.part(range.upperBound..<size))
        trial.expect(isClean, "\(byteCount) bytes from \(from) to \(to) were copied with others on the host")
        let whole = CopyPiece(source: memory.address, target: target.address, byteCount: UInt(size))
        try stream.copy(whole, .deviceToHost)
        let restored = CopyPiece(source: before.address, target: memory.address, byteCount: UInt(size))
        try stream.copy(restored, .hostToDevice)
        try stream.wait(until: trial.patience)
        let end = to + byteCount
        let isDeviceClean =
          target.part(0..<to).equals(before.part(0..<to))
          && target.part(end..<size).equals(before.part(end..<size))
        trial.expect(isDeviceClean, "\(byteCount) bytes from \(from) to \(to) were copied with others on the device")
      }
    }
  }

  private static func copiesBatches(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .high)
    for count in [0, 1, 2, 500] {
      let size = max(64, count * 64)
      let source = try trial.hostBytes(size, seed: UInt64(count))
      let target = try trial.hostBytes(size, seed: 99)
      let memory = try trial.deviceMemory(size, seed: 98)
      // Piece i of the source lies in place `place` on the device; 64 bytes, of which one is left out.
      var random = SplitMix64(seed: 7)
      let places = (0..<count).shuffled(using: &random)
      var down: [CopyPiece] = []
      var up: [CopyPiece] = []
      for (number, place) in places.enumerated() {
        let host = UInt(number * 64)
        let device = memory.address + UInt(place * 64)
        down.append(CopyPiece(source: source.address + host, target: device, byteCount: 63))
        up.append(CopyPiece(source: device, target: target.address + host, byteCount: 63))
      }
      let untouched = try trial.hostBytes(size, seed: 99)
      try stream.copy(down, .hostToDevice)
      try stream.copy(up, .deviceToHost)
      try stream.wait(until: trial.patience)
      for number in 0..<count {
        let start = number * 64
        let isRight = target.part(start..<start + 63).equals(source.part(start..<start + 63))
        trial.expect(isRight, "piece \(number) of \(count) came back wrong")
        trial.expect(target[start + 63] == untouched[start + 63], "a byte between the pieces was written")
      }
    }
  }

  private static func takesPiecesAtOnce(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let source = try trial.hostBytes(4096, seed: 1)
    let target = try trial.hostBytes(4096, seed: 2)
    let memory = try trial.deviceMemory(4096, seed: 3)
    let pieces = UnsafeMutableBufferPointer<CopyPiece>.allocate(capacity: 2)
    defer { pieces.deallocate() }
    for half in 0..<2 {
      let offset = UInt(half * 2048)
      pieces.initializeElement(
        at: half, to: CopyPiece(source: source.address + offset, target: memory.address + offset, byteCount: 2048))
    }
    try stream.copy(UnsafeBufferPointer(pieces), .hostToDevice)
    for half in 0..<2 { pieces[half] = CopyPiece(source: 0, target: 0, byteCount: .max) }
    try stream.copy(CopyPiece(source: memory.address, target: target.address, byteCount: 4096), .deviceToHost)
    try stream.wait(until: trial.patience)
    trial.expect(target.equals(source), "the pieces were read after the call had returned")
  }

  private static func copiesWithin(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let expected = try trial.hostBytes(10_000, seed: 1)
    let first = try trial.deviceMemory(10_000, seed: 1)
    let second = try trial.deviceMemory(10_000, seed: 2)
    try stream.copy(CopyPiece(source: first.address, target: second.address, byteCount: 9_999), .deviceToDevice)
    try stream.wait(until: trial.patience)
    let result = try trial.contents(second)
    trial.expect(result.part(0..<9_999).equals(expected.part(0..<9_999)), "a copy within the device is wrong")
    let untouched = try trial.hostBytes(10_000, seed: 2)
    trial.expect(result[9_999] == untouched[9_999], "a copy within the device wrote a byte too many")
  }

  private static func copiesRows(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    let size = 8192
    for direction in CopyDirection.allCases {
      let sourceBytes = try trial.hostBytes(size, seed: 1)
      let sourceMemory = try trial.deviceMemory(size, seed: 1)
      let targetBytes = try trial.hostBytes(size, seed: 2)
      let targetMemory = try trial.deviceMemory(size, seed: 2)
      let expected = try trial.hostBytes(size, seed: 2)
      let source = direction == .hostToDevice ? sourceBytes.address : sourceMemory.address
      let target = direction == .deviceToHost ? targetBytes.address : targetMemory.address
      for (rowBytes, rows, sourcePitch, targetPitch) in [
        (10, 20, 50, 40), (64, 8, 64, 128), (1, 30, 3, 1), (5, 1, 5, 5),
      ] {
        try stream.copy(
          StridedCopy(
            source: source + 7, target: target + 3, rowByteCount: rowBytes, rowCount: rows, sourcePitch: sourcePitch,
            targetPitch: targetPitch), direction)
        for row in 0..<rows {
          for byte in 0..<rowBytes {
            expected[3 + row * targetPitch + byte] = sourceBytes[7 + row * sourcePitch + byte]
          }
        }
      }
      try stream.wait(until: trial.patience)
      let result = direction == .deviceToHost ? targetBytes : try trial.contents(targetMemory)
      trial.expect(result.equals(expected), "rows are wrong, \(direction)")
    }
  }

  private static func copiesNothing(_ trial: DeviceTrial) throws(RoostError) {
    let stream = try trial.device.makeStream(priority: .normal)
    try stream.copy(CopyPiece(source: 0, target: 0, byteCount: 0), .deviceToHost)
    try stream.copy([], .hostToDevice)
    try stream.copy([CopyPiece(source: 0, target: .max, byteCount: 0)], .deviceToDevice)
    if trial.capabilities.contains(.stridedCopy) {
      try stream.copy(
        StridedCopy(source: 0, target: 0, rowByteCount: 0, rowCount: 5, sourcePitch: 0, targetPitch: 0), .deviceToHost)
    }
    try stream.wait(until: trial.patience)
  }

  private static func agreesWithModel(_ trial: DeviceTrial) throws(RoostError) {
    let size = 16_384
    let stream = try trial.device.makeStream(priority: .normal)
    // Four areas: two on the host, two on the device; and what should be in them.
    let host = [try trial.hostBytes(size, seed: 1), try trial.hostBytes(size, seed: 2)]
    let device = [try trial.deviceMemory(size, seed: 3), try trial.deviceMemory(size, seed: 4)]
    var model: [UnsafeMutableRawBufferPointer] = []
    for seed in 1...4 as ClosedRange<UInt64> { model.append(try trial.hostBytes(size, seed: seed)) }
    let addresses = host.map(\.address) + device.map(\.address)
    var random = SplitMix64(seed: 11)
    for _ in 0..<300 {
      let from = Int.random(in: 0..<4, using: &random)
      let target =
        from < 2
        ? Int.random(in: 2..<4, using: &random)
        : (from == 2 ? [0, 1, 3] : [0, 1, 2]).randomElement(using: &random) ?? 0
      let direction: CopyDirection = from < 2 ? .hostToDevice : target < 2 ? .deviceToHost : .deviceToDevice
      let byteCount = Int.random(in: 1...600, using: &random)
      let sourceOffset = Int.random(in: 0...size - byteCount, using: &random)
      let targetOffset = Int.random(in: 0...size - byteCount, using: &random)
      try stream.copy(
        CopyPiece(
          source: addresses[from] + UInt(sourceOffset), target: addresses[target] + UInt(targetOffset),
          byteCount: UInt(byteCount)), direction)
      model[target].part(targetOffset..<targetOffset + byteCount)
        .copyMemory(from: UnsafeRawBufferPointer(model[from].part(sourceOffset..<sourceOffset + byteCount)))
    }
    try stream.wait(until: trial.patience)
    for number in 0..<4 {
      let result = number < 2 ? host[number] : try trial.contents(device[number - 2])
      trial.expect(result.equals(model[number]), "area \(number) is not what it should be after 300 copies")
    }
  }
}
