import DeviceCUDA
import Glibc
import RoostDevice
import RoostPrimitives

/// One way to copy so many pieces of one size in one direction.
struct SweepRow {
  let direction: CopyDirection
  let path: CopyPath
  let pieceBytes: Int
  let count: Int
  /// Bytes a second, the best of several.
  let speed: Double
  /// Of the contiguous copy of as many bytes.
  let ratio: Double
  let wrongBytes: Int
}

/// Piece sizes times counts times ways times directions. Device pages lie scattered, twice as far apart as they are long;
/// the host's side is one run, as a pool's slots are.
struct Sweep {
  private(set) var rows: [SweepRow] = []
  private let options: Options

  private static let sizes = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048].map { $0 << 10 }
  private static let counts = [16, 64, 256, 1024, 4096, 10_000]
  private static let quickBytesMax = 256 << 20
  private static let bytesMax = 4 << 30
  private static let roundCount = 3
  private static let patienceSeconds = 60.0

  init(_ options: Options) { self.options = options }

  mutating func run() throws(RoostError) {
    for path in CopyPath.allCases {
      let device = DrivenDevice(try CUDADriver(options.configuration(path)))
      let limit = min(device.freeMemoryBytes / 4, options.isQuick ? Self.quickBytesMax : Self.bytesMax)
      for pieceBytes in Self.sizes {
        for count in Self.counts where pieceBytes * count <= limit {
          try measure(path, pieceBytes, count, device)
        }
      }
    }
  }

  private mutating func measure(
    _ path: CopyPath, _ pieceBytes: Int, _ count: Int, _ device: DrivenDevice<CUDADriver>
  ) throws(RoostError) {
    let total = pieceBytes * count
    let pages = try device.allocate(byteCount: total * 2)
    defer { try? device.free(pages) }
    let source = try device.allocateHost(byteCount: total)
    defer { try? device.freeHost(source) }
    let target = try device.allocateHost(byteCount: total)
    defer { try? device.freeHost(target) }
    let stream = try device.makeStream(priority: .normal)
    var random = SplitMix64(seed: options.seed)
    let words = source.bytes.bindMemory(to: UInt64.self)
    for index in words.indices { words[index] = random.next() }
    let places = (0..<count).shuffled(using: &random)
    let loads = places.enumerated().map { number, place in
      CopyPiece(
        source: source.address + UInt(number * pieceBytes), target: pages.address + UInt(place * 2 * pieceBytes),
        byteCount: UInt(pieceBytes))
    }
    let stores = loads.map {
      CopyPiece(
        source: $0.target, target: target.address + ($0.source - source.address), byteCount: $0.byteCount)
    }
    for (direction, pieces) in [(CopyDirection.hostToDevice, loads), (.deviceToHost, stores)] {
      let isLoad = direction == .hostToDevice
      let whole = CopyPiece(
        source: isLoad ? source.address : pages.address, target: isLoad ? pages.address : target.address,
        byteCount: UInt(total))
      let limit = try Self.best([whole], direction, on: stream)
      let seconds = try Self.best(pieces, direction, on: stream)
      var wrong = 0
      if isLoad {
        // What came is fetched piece by piece, by single copies, and compared.
        target.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        for piece in stores { try stream.copy(piece, .deviceToHost) }
        try stream.wait(until: .after(seconds: Self.patienceSeconds))
        wrong = Self.difference(source, target)
      } else {
        // The contiguous copy wrote the same pages: load them again, and store them to cleared memory.
        target.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        for piece in loads { try stream.copy(piece, .hostToDevice) }
        try pieces.withUnsafeBufferPointer { buffer throws(RoostError) in try stream.copy(buffer, direction) }
        try stream.wait(until: .after(seconds: Self.patienceSeconds))
        wrong = Self.difference(source, target)
      }
      rows.append(
        SweepRow(
          direction: direction, path: path, pieceBytes: pieceBytes, count: count, speed: Double(total) / seconds,
          ratio: limit / seconds, wrongBytes: wrong))
    }
  }

  /// Seconds of the fastest round.
  private static func best(
    _ pieces: [CopyPiece], _ direction: CopyDirection, on stream: any DeviceStream
  ) throws(RoostError) -> Double {
    let clock = MonotonicClock()
    var best = UInt64.max
    for _ in 0..<roundCount {
      let start = clock.nanoseconds
      try pieces.withUnsafeBufferPointer { buffer throws(RoostError) in try stream.copy(buffer, direction) }
      try stream.wait(until: .after(seconds: patienceSeconds))
      best = min(best, clock.nanoseconds - start)
    }
    return Double(max(1, best)) / 1e9
  }

  private static func difference(_ left: HostMemory, _ right: HostMemory) -> Int {
    guard let first = left.bytes.baseAddress, let second = right.bytes.baseAddress,
      memcmp(first, second, left.byteCount) != 0
    else { return 0 }
    return zip(left.bytes, right.bytes).count { $0 != $1 }
  }
}
