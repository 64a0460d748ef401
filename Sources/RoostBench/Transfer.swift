import RoostBuiltins
import RoostDevice
import RoostPrimitives
import RoostTransfer

extension Bench {
  /// Stores and loads between the CPU device and shared memory, by the size of the contiguous pieces, beside memcpy.
  public static let transfer = Bench(
    name: "transfer", summary: "copies between device and pool, by size of the contiguous pieces, beside memcpy"
  ) { scale throws(RoostError) in
    let device = try Builtins.devices().open("cpu:0")
    let reference = MemcpyReference()
    let arena = try TransferArena(device: device, byteCount: TransferShape.arenaBytes(scale))
    var results: [BenchResult] = []
    for shape in TransferShape.all(scale) {
      try results += TransferBench.rows(shape, LocalTransferPlane(shape, in: arena), reference, scale)
    }
    for shape in TransferShape.all(scale) {
      try results += TransferBench.coldRows(shape, in: arena, reference, scale)
    }
    for shape in TransferShape.all(scale) {
      try results += TransferBench.rows(shape, ProcessTransferPlane(shape), prefix: "process/", reference, scale)
    }
    return results
  }
}

/// What carries out the copies of a transfer benchmark: a queue in this process, or a data plane in another one.
protocol TransferPlane: AnyObject {
  /// Copies pages between blocks of the device and slots of the pool, both counted from 0, and returns when they lie at
  /// their targets.
  func copy(_ direction: TransferDirection, blocks: [UInt32], slots: [UInt32]) throws(RoostError)
}

/// The rows of `roost bench transfer`, apart from what carries the copies out: the rows of a data plane in another
/// process are the same with another plane and a prefix.
enum TransferBench {
  /// `store/...` and `load/...`: random pages, all memory populated, every sample beside a memcpy.
  static func rows(
    _ shape: TransferShape, _ plane: any TransferPlane, prefix: String = "", _ reference: MemcpyReference,
    _ scale: BenchScale
  ) throws(RoostError) -> [BenchResult] {
    var results: [BenchResult] = []
    var random = SplitMix64(seed: 1)
    for direction in TransferDirection.allCases {
      let result = try Sampling.paired(
        name: "\(prefix)\(direction)/\(shape.name)", byteCount: shape.batchByteCount,
        sampleCount: scale == .smoke ? 3 : 41, reference: reference
      ) { () throws(RoostError) in
        try plane.copy(
          direction, blocks: shape.randomBatch(of: shape.blockCount, &random),
          slots: shape.randomBatch(of: shape.slotCount, &random))
      }
      results.append(result)
    }
    return results
  }

  /// `cold/...`: stores into shared memory that nobody has touched (the kernel clears every page), and loads from memory
  /// that this process has not mapped yet (a fault a page).
  static func coldRows(
    _ shape: TransferShape, in arena: TransferArena, _ reference: MemcpyReference, _ scale: BenchScale
  ) throws(RoostError) -> [BenchResult] {
    var results: [BenchResult] = []
    for direction in TransferDirection.allCases {
      if direction == .store { try arena.replaceSlots() } else { arena.forgetMapping() }
      let plane = try LocalTransferPlane(shape, in: arena)
      let sampleCount = min(scale == .smoke ? 1 : 5, shape.slotCount / shape.batchPageCount)
      var rates: [Double] = []
      var ratios: [Double] = []
      for sample in 0..<sampleCount {
        let beside = reference.sample()
        let slots = (0..<shape.batchPageCount).map { UInt32(sample * shape.batchPageCount + $0) }
        let seconds = try Sampling.seconds { () throws(RoostError) in
          try plane.copy(direction, blocks: slots.map { $0 % UInt32(shape.blockCount) }, slots: slots)
        }
        rates.append(Double(shape.batchByteCount) / seconds / 1e9)
        ratios.append(rates[sample] / beside)
      }
      results.append(
        BenchResult(
          name: "cold/\(direction)/\(shape.name)", unit: "GB/s", samples: rates, reference: reference.name,
          ratios: ratios))
    }
    return results
  }

  /// `overhead/...`: everything that is not the copy, with pages of one cache line that never leave the cache: a whole
  /// request of one block, and each further block, of one run and of 32.
  static func overheadRows(on device: any Device, _ scale: BenchScale) throws(RoostError) -> [BenchResult] {
    let sampleCount = scale == .smoke ? 5 : 401
    let single = try OverheadScene(on: device, pieceCount: 1)
    let layered = try OverheadScene(on: device, pieceCount: 32)
    // Short samples, so that most of them fall between two moments at which the system runs somebody else.
    let rounds = 50
    var request = try Sampling.time(
      name: "overhead/request", unit: "us", operationCount: rounds, sampleCount: sampleCount
    ) { () throws(RoostError) in
      for _ in 0..<rounds { try single.copy(pageCount: 1) }
    }
    request.reference = "at most 2 us"
    var results = [request]
    for (scene, name) in [(single, "overhead/block"), (layered, "overhead/block-of-32-runs")] {
      try results.append(blockRow(scene, name: name, sampleCount))
    }
    return results
  }

  /// What a large request costs a block beyond the copy loop alone, which is measured in turn with it: the difference
  /// of the medians, of the fastest, and of the slowest and the fastest.
  private static func blockRow(
    _ scene: OverheadScene, name: String, _ sampleCount: Int
  ) throws(RoostError) -> BenchResult {
    var bare: [Double] = []
    var whole: [Double] = []
    for _ in 0..<sampleCount {
      bare.append(try Sampling.seconds { () throws(RoostError) in scene.copyBarely() })
      whole.append(try Sampling.seconds { () throws(RoostError) in try scene.copy(pageCount: scene.pageCount) })
    }
    let less = BenchResult(name: name, unit: "ns", samples: bare)
    var result = BenchResult(name: name, unit: "ns", samples: whole, reference: "at most 300 ns")
    let scale = 1e9 / Double(scene.pageCount)
    result.median = (result.median - less.median) * scale
    result.max = (result.max - less.min) * scale
    result.min = (result.min - less.min) * scale
    return result
  }
}
