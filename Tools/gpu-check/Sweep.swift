import DeviceCUDA
import Glibc
import RoostDevice
import RoostPrimitives

/// How scattered pieces are copied: the device's own ways, and a kernel that gathers them in the device's memory with one
/// contiguous copy from there.
enum Way: String, CaseIterable {
  case loop
  case batch
  case kernel
  case staging

  /// What the device is told to do with batches.
  var path: CopyPath { self == .staging ? .kernel : CopyPath(rawValue: rawValue) ?? .kernel }
}

/// One way to copy so many pieces of one size in one direction.
struct SweepRow {
  /// Empty, or the model whose pages these are.
  let model: String
  let direction: CopyDirection
  let way: Way
  let pieceBytes: Int
  let count: Int
  /// Whether a kernel computed meanwhile; then also beside the contiguous copy.
  let isBeside: Bool
  /// Bytes a second, the best of several.
  let speed: Double
  /// Of the contiguous copy of as many bytes.
  let ratio: Double
  let wrongBytes: Int
}

/// What is copied: where each piece begins in the device's memory and in the host's.
private struct Shape {
  var model = ""
  let pieceBytes: Int
  let deviceBytes: Int
  let places: [(device: Int, host: Int)]

  var totalBytes: Int { places.count * pieceBytes }

  func pieces(device: UInt, other: UInt, isLoad: Bool) -> [CopyPiece] {
    places.map {
      let (there, here) = (device + UInt($0.device), other + UInt($0.host))
      return CopyPiece(source: isLoad ? here : there, target: isLoad ? there : here, byteCount: UInt(pieceBytes))
    }
  }
}

/// Piece sizes times counts times ways times directions, and pages of models; alone, and beside a kernel that computes.
/// Device pages lie scattered, twice as far apart as they are long; the host's side is one run, as a pool's slots are.
struct Sweep {
  private(set) var rows: [SweepRow] = []
  /// Whether the kernel ended before a copy that was to be measured beside it.
  private(set) var loadRanOut = false
  private let options: Options

  private static let sizes = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048].map { $0 << 10 }
  private static let counts = [16, 64, 256, 1024, 4096, 10_000]
  private static let countsBeside = [64, 1024, 10_000]
  private static let quickBytesMax = 256 << 20
  private static let bytesMax = 4 << 30
  private static let roundCount = 3
  private static let patienceSeconds = 60.0

  init(_ options: Options) { self.options = options }

  mutating func run() throws(RoostError) {
    for way in Way.allCases {
      let device = DrivenDevice(try CUDADriver(options.configuration(way.path)))
      let load = try ComputeLoad(options)
      let limit = min(device.freeMemoryBytes / 6, options.isQuick ? Self.quickBytesMax : Self.bytesMax)
      var random = SplitMix64(seed: options.seed)
      for pieceBytes in Self.sizes {
        for count in Self.counts where pieceBytes * count <= limit {
          let places = (0..<count).shuffled(using: &random).enumerated().map { ($1 * 2 * pieceBytes, $0 * pieceBytes) }
          let shape = Shape(pieceBytes: pieceBytes, deviceBytes: count * 2 * pieceBytes, places: places)
          try measure(way, shape, device, nil)
          if Self.countsBeside.contains(count) { try measure(way, shape, device, load) }
        }
      }
      for model in ModelPages.all where model.pageBytes <= limit {
        let count = min(limit / model.pageBytes, 256)
        let places = model.pieces(pageCount: count, using: &random)
        let deviceBytes = 2 * count * model.pageBytes
        let shape = Shape(
          model: model.name, pieceBytes: model.pieceBytes, deviceBytes: deviceBytes, places: places)
        try measure(way, shape, device, nil)
        try measure(way, shape, device, load)
      }
      loadRanOut = loadRanOut || load.ranOut
      try load.close()
    }
  }

  private mutating func measure(
    _ way: Way, _ shape: Shape, _ device: DrivenDevice<CUDADriver>, _ load: ComputeLoad?
  ) throws(RoostError) {
    let trial = try CopyTrial(way, shape.totalBytes, shape.deviceBytes, device, seed: options.seed)
    defer { trial.free() }
    for isLoad in [true, false] {
      let host = isLoad ? trial.source.address : trial.target.address
      let whole = CopyPiece(
        source: isLoad ? host : trial.pages.address, target: isLoad ? trial.pages.address : host,
        byteCount: UInt(shape.totalBytes))
      let direction: CopyDirection = isLoad ? .hostToDevice : .deviceToHost
      let limit = try Self.best(on: trial.stream, load) { () throws(RoostError) in
        try trial.stream.copy(whole, direction)
      }
      let pieces = shape.pieces(device: trial.pages.address, other: trial.side(isLoad), isLoad: isLoad)
      let seconds = try Self.best(on: trial.stream, load) { () throws(RoostError) in
        try trial.submit(pieces, isLoad: isLoad)
      }
      // The contiguous copies wrote the pages, too: once more, with the other direction piece by piece.
      let back = shape.pieces(
        device: trial.pages.address, other: isLoad ? trial.target.address : trial.source.address, isLoad: !isLoad)
      let wrong = try trial.wrongBytes(pieces, back: back, isLoad: isLoad)
      rows.append(
        SweepRow(
          model: shape.model, direction: direction, way: way, pieceBytes: shape.pieceBytes, count: shape.places.count,
          isBeside: load != nil, speed: Double(shape.totalBytes) / seconds, ratio: limit / seconds, wrongBytes: wrong))
    }
  }

  /// Seconds of the fastest round.
  private static func best(
    on stream: any DeviceStream, _ load: ComputeLoad?, _ submit: () throws(RoostError) -> Void
  ) throws(RoostError) -> Double {
    let clock = MonotonicClock()
    var best = UInt64.max
    for _ in 0..<roundCount {
      try load?.keepBusy()
      let start = clock.nanoseconds
      try submit()
      try stream.wait(until: .after(seconds: patienceSeconds))
      best = min(best, clock.nanoseconds - start)
      try load?.noteEnd()
    }
    return Double(max(1, best)) / 1e9
  }
}

/// The memory of one measurement.
private struct CopyTrial {
  let pages: DeviceMemory
  let source: HostMemory
  let target: HostMemory
  let stream: any DeviceStream
  private let staging: DeviceMemory?
  private let device: DrivenDevice<CUDADriver>

  init(
    _ way: Way, _ totalBytes: Int, _ deviceBytes: Int, _ device: DrivenDevice<CUDADriver>, seed: UInt64
  ) throws(RoostError) {
    self.device = device
    stream = try device.makeStream(priority: .normal)
    pages = try device.allocate(byteCount: deviceBytes)
    source = try device.allocateHost(byteCount: totalBytes)
    target = try device.allocateHost(byteCount: totalBytes)
    staging = way == .staging ? try device.allocate(byteCount: totalBytes) : nil
    var random = SplitMix64(seed: seed)
    let words = source.bytes.bindMemory(to: UInt64.self)
    for index in words.indices { words[index] = random.next() }
  }

  func free() {
    try? device.free(pages)
    if let staging { try? device.free(staging) }
    try? device.freeHost(source)
    try? device.freeHost(target)
  }

  /// Where the other side of the scattered pieces begins.
  func side(_ isLoad: Bool) -> UInt { staging?.address ?? (isLoad ? source.address : target.address) }

  func submit(_ pieces: [CopyPiece], isLoad: Bool) throws(RoostError) {
    guard let staging else {
      return try copy(pieces, isLoad ? .hostToDevice : .deviceToHost)
    }
    let count = UInt(source.byteCount)
    if isLoad {
      let whole = CopyPiece(source: source.address, target: staging.address, byteCount: count)
      try stream.copy(whole, .hostToDevice)
      try copy(pieces, .deviceToDevice)
    } else {
      try copy(pieces, .deviceToDevice)
      let whole = CopyPiece(source: staging.address, target: target.address, byteCount: count)
      try stream.copy(whole, .deviceToHost)
    }
  }

  /// Copies there by the way that is checked and back piece by piece, and counts the bytes that differ.
  func wrongBytes(_ pieces: [CopyPiece], back: [CopyPiece], isLoad: Bool) throws(RoostError) -> Int {
    target.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    if isLoad { try submit(pieces, isLoad: true) }
    for piece in back { try stream.copy(piece, isLoad ? .deviceToHost : .hostToDevice) }
    if !isLoad { try submit(pieces, isLoad: false) }
    try stream.wait(until: .after(seconds: 60))
    guard let first = source.bytes.baseAddress, let second = target.bytes.baseAddress,
      memcmp(first, second, source.byteCount) != 0
    else { return 0 }
    return zip(source.bytes, target.bytes).count { $0 != $1 }
  }

  private func copy(_ pieces: [CopyPiece], _ direction: CopyDirection) throws(RoostError) {
    try pieces.withUnsafeBufferPointer { buffer throws(RoostError) in try stream.copy(buffer, direction) }
  }
}
