import DeviceCPU
import Foundation
import RoostDevice
import RoostLayout
import RoostPrimitives
import RoostTransfer
import Testing

/// Byte-exact copies of random layouts against element-by-element brute force; every byte of the target memory is
/// compared, so that nothing beside a page may change.
@Suite struct CopyTests {
  /// How a case is run: straight, or through staging with so many efficient bytes.
  static let efficientRuns = [0, 1 << 20]

  /// A device with its cache, and slots.
  private struct Case {
    var device: Grid
    var slot: Grid
    var blockStride: Int
    let blockCount = 7
    let slotCount = 5
    var slotStride: Int
    var cache: Memory
    var slots: Memory
    var pages: [(block: Int, slot: Int)]

    init(seed: UInt64) {
      var random = SplitMix64(seed: seed)
      let shape = PageShape.random(using: &random)
      device = Grid.random(shape, using: &random)
      slot = Grid.random(shape, using: &random)
      blockStride = device.endBytes + [0, 0, 16].randomElement(using: &random)!
      slotStride = slot.endBytes + [0, 64].randomElement(using: &random)!
      cache = Memory(blockStride * blockCount, seed: seed)
      slots = Memory(slotStride * slotCount, seed: seed + 1000)
      let blocks = Array(0..<blockCount).shuffled(using: &random)
      let targets = Array(0..<slotCount).shuffled(using: &random)
      pages = zip(blocks, targets).prefix(Int.random(in: 1...slotCount, using: &random)).map { ($0, $1) }
    }

    func pageCopies() -> [PageCopy] {
      pages.map { PageCopy(block: UInt32($0.block), slotAddress: slots.address + UInt($0.slot * slotStride)) }
    }

    func region() -> PagedRegion {
      PagedRegion(
        address: cache.address, byteCount: cache.buffer.count, blockStrideBytes: blockStride, blockCount: blockCount)
    }

    /// What the slots should hold after a store.
    func expectedSlots() -> Memory {
      let expected = Memory(copyOf: slots)
      for page in pages {
        device.shape.forEach { index in
          expected.copyElement(
            from: cache, page.block * blockStride + device.offset(of: index),
            to: page.slot * slotStride + slot.offset(of: index), byteCount: device.shape.itemByteCount)
        }
      }
      return expected
    }

    /// What the cache should hold after a load.
    func expectedCache() -> Memory {
      let expected = Memory(copyOf: cache)
      for page in pages {
        device.shape.forEach { index in
          expected.copyElement(
            from: slots, page.slot * slotStride + slot.offset(of: index),
            to: page.block * blockStride + device.offset(of: index), byteCount: device.shape.itemByteCount)
        }
      }
      return expected
    }
  }

  @Test(arguments: efficientRuns) func storesAndLoadsRandomLayouts(efficientRunBytes: Int) throws {
    let queue = try TransferQueue(device: try CPUDevice())
    var stagedCount = 0
    for seed in UInt64(1)...150 {
      let one = Case(seed: seed)
      let template = try PageTemplate(
        regions: [one.region()], parts: [PagePart(region: 0, device: one.device.layout(), slot: one.slot.layout())],
        slotByteCount: one.slotStride, efficientRunBytes: efficientRunBytes)
      if template.isStaged { stagedCount += 1 }
      let stored = one.expectedSlots()
      let result = try queue.run(TransferJob(.store, template: template), one.pageCopies())
      #expect(result.isDone && one.slots.equals(stored), "store, seed \(seed)")
      #expect(result.byteCount == one.pages.count * one.device.shape.extents.reduce(one.device.shape.itemByteCount, *))
      one.slots.refill(seed: seed + 5000)
      let loaded = one.expectedCache()
      #expect(try queue.run(TransferJob(.load, template: template), one.pageCopies()).isDone)
      #expect(one.cache.equals(loaded), "load, seed \(seed)")
    }
    #expect((stagedCount > 50) == (efficientRunBytes > 0))
  }

  @Test(arguments: efficientRuns) func storesOneTensorPerLayerIntoOneSlot(efficientRunBytes: Int) throws {
    let queue = try TransferQueue(device: try CPUDevice())
    for seed in UInt64(1)...40 {
      var random = SplitMix64(seed: seed)
      let shape = PageShape.random(using: &random)
      let slot = Grid.random(shape, using: &random)
      var layerShape = shape
      layerShape.extents[0] = 1
      let layer = Grid.random(layerShape, using: &random)
      // Every layer's tensor has its own address and its own distance from block to block.
      let tensors = (0..<shape.extents[0]).map { number in
        (
          memory: Memory((layer.endBytes + number * 8) * 4, seed: seed + UInt64(number)),
          stride: layer.endBytes + number * 8
        )
      }
      let slots = Memory(slot.endBytes * 2, seed: seed + 77)
      let template = try PageTemplate(
        regions: tensors.map {
          PagedRegion(
            address: $0.memory.address, byteCount: $0.memory.buffer.count, blockStrideBytes: $0.stride, blockCount: 4)
        },
        parts: tensors.indices.map {
          PagePart(region: $0, device: try layer.layout(), slot: try slot.selecting(0, $0).layout())
        }, slotByteCount: slot.endBytes, efficientRunBytes: efficientRunBytes)
      let expected = Memory(copyOf: slots)
      let pages = [(block: 3, slot: 0), (block: 1, slot: 1)]
      for page in pages {
        shape.forEach { index in
          let tensor = tensors[index[0]]
          expected.copyElement(
            from: tensor.memory, page.block * tensor.stride + layer.offset(of: [0] + index.dropFirst()),
            to: page.slot * slot.endBytes + slot.offset(of: index), byteCount: shape.itemByteCount)
        }
      }
      let copies = pages.map {
        PageCopy(block: UInt32($0.block), slotAddress: slots.address + UInt($0.slot * slot.endBytes))
      }
      #expect(try queue.run(TransferJob(.store, template: template), copies).isDone)
      #expect(slots.equals(expected), "seed \(seed)")
      let before = tensors.map { Memory(copyOf: $0.memory) }
      for tensor in tensors {
        for page in pages { memset(tensor.memory.buffer.baseAddress! + page.block * tensor.stride, 0, layer.endBytes) }
      }
      #expect(try queue.run(TransferJob(.load, template: template), copies).isDone)
      for (tensor, old) in zip(tensors, before) {
        layerShape.forEach { index in
          for page in pages {
            let at = page.block * tensor.stride + layer.offset(of: index)
            #expect(
              memcmp(tensor.memory.buffer.baseAddress! + at, old.buffer.baseAddress! + at, shape.itemByteCount) == 0)
          }
        }
      }
    }
  }

  @Test(arguments: [(1, 4), (4, 1), (2, 4), (4, 2), (8, 2), (2, 2)], efficientRuns)
  func storesHeadShardsOfOneSizeAndLoadsThemAsAnother(sizes: (store: Int, load: Int), efficientRunBytes: Int) throws {
    let queue = try TransferQueue(device: try CPUDevice())
    for seed in UInt64(1)...10 {
      var random = SplitMix64(seed: seed)
      let shape = PageShape(extents: [2, 2, 4, 8, 8], itemByteCount: 2)
      let slot = Grid.random(shape, using: &random)
      let slots = Memory(slot.endBytes, seed: seed)
      /// The memory and template of each rank of a tensor-parallel group.
      func ranks(_ size: Int, _ random: inout SplitMix64) throws -> [(
        memory: Memory, grid: Grid, template: PageTemplate
      )] {
        try (0..<size).map { rank in
          var part = shape
          part.extents[3] = 8 / size
          let grid = Grid.random(part, using: &random)
          let memory = Memory(grid.endBytes * 3, seed: seed * 100 + UInt64(rank))
          let template = try PageTemplate(
            regions: [
              PagedRegion(
                address: memory.address, byteCount: grid.endBytes * 3, blockStrideBytes: grid.endBytes, blockCount: 3)
            ],
            parts: [
              PagePart(
                region: 0, device: try grid.layout(),
                slot: try slot.narrowed(3, start: rank * 8 / size, count: 8 / size).layout())
            ], slotByteCount: slot.endBytes, efficientRunBytes: efficientRunBytes)
          return (memory, grid, template)
        }
      }
      let sources = try ranks(sizes.store, &random)
      let targets = try ranks(sizes.load, &random)
      for (rank, source) in sources.enumerated() {
        let page = PageCopy(block: UInt32(rank % 3), slotAddress: slots.address)
        #expect(try queue.run(TransferJob(.store, template: source.template), [page]).isDone)
      }
      for target in targets {
        #expect(
          try queue.run(
            TransferJob(.load, template: target.template), [PageCopy(block: 1, slotAddress: slots.address)]
          ).isDone)
      }
      shape.forEach { index in
        let (from, to) = (index[3] / (8 / sizes.store), index[3] / (8 / sizes.load))
        var (fromIndex, toIndex) = (index, index)
        fromIndex[3] %= 8 / sizes.store
        toIndex[3] %= 8 / sizes.load
        let source = sources[from].memory.buffer.baseAddress! + (from % 3) * sources[from].grid.endBytes
        let target = targets[to].memory.buffer.baseAddress! + targets[to].grid.endBytes
        let isEqual = memcmp(
          source + sources[from].grid.offset(of: fromIndex), target + targets[to].grid.offset(of: toIndex), 2)
        #expect(isEqual == 0, "seed \(seed), index \(index)")
      }
    }
  }

  @Test(arguments: efficientRuns) func storesPagesOfPlanesThatSpanAllBlocks(efficientRunBytes: Int) throws {
    // Keys of all blocks, then values of all blocks, then a scale a token: three planes; in the slot one after another.
    let queue = try TransferQueue(device: try CPUDevice())
    let (blocks, tokens, dims) = (6, 8, 32)
    let keyBytes = blocks * tokens * dims
    func planes(_ key: Int, _ value: Int, _ scale: Int) throws -> Layout {
      let rows = [Axis(.token, tokens, strideBytes: dims), Axis(.dim, dims, strideBytes: 1)]
      return try Layout(planes: [
        Plane(axes: rows, itemByteCount: 1, offsetBytes: key), Plane(axes: rows, itemByteCount: 1, offsetBytes: value),
        Plane(axes: [Axis(.token, tokens, strideBytes: 4)], itemByteCount: 4, offsetBytes: scale),
      ])
    }
    let cache = Memory(keyBytes * 2 + blocks * tokens * dims, seed: 1)
    let slotByteCount = 2 * tokens * dims + 4 * tokens
    let slots = Memory(slotByteCount, seed: 2)
    let template = try PageTemplate(
      regions: [
        PagedRegion(
          address: cache.address, byteCount: cache.buffer.count, blockStrideBytes: tokens * dims, blockCount: blocks)
      ],
      parts: [
        PagePart(
          region: 0, device: try planes(0, keyBytes, 2 * keyBytes),
          slot: try planes(0, tokens * dims, 2 * tokens * dims))
      ], slotByteCount: slotByteCount, efficientRunBytes: efficientRunBytes)
    for block in 0..<blocks {
      let page = PageCopy(block: UInt32(block), slotAddress: slots.address)
      #expect(try queue.run(TransferJob(.store, template: template), [page]).isDone)
      let (from, to) = (cache.buffer.baseAddress! + block * tokens * dims, slots.buffer.baseAddress!)
      #expect(memcmp(from, to, tokens * dims) == 0)
      #expect(memcmp(from + keyBytes, to + tokens * dims, tokens * dims) == 0)
      #expect(memcmp(from + 2 * keyBytes, to + 2 * tokens * dims, 4 * tokens) == 0)
    }
  }

  @Test func copiesConsecutivePagesOfOneRunAsOne() throws {
    let queue = try TransferQueue(device: try CPUDevice())
    let page = try Layout(axes: [Axis(.byte, 1000, strideBytes: 1)], itemByteCount: 1)
    let cache = Memory(100_000, seed: 1)
    let slots = Memory(100_000, seed: 2)
    let template = try PageTemplate(
      regions: [PagedRegion(address: cache.address, byteCount: 100_000, blockStrideBytes: 1000, blockCount: 100)],
      parts: [PagePart(region: 0, device: page, slot: page)], slotByteCount: 1000)
    // Consecutive on both sides, on one side only, and backwards.
    let pairs = [(0, 0), (1, 1), (2, 2), (3, 10), (4, 11), (50, 12), (49, 13), (48, 14), (99, 99)]
    let expected = Memory(copyOf: slots)
    for (block, slot) in pairs { expected.copyElement(from: cache, block * 1000, to: slot * 1000, byteCount: 1000) }
    let copies = pairs.map { PageCopy(block: UInt32($0), slotAddress: slots.address + UInt($1 * 1000)) }
    #expect(try queue.run(TransferJob(.store, template: template), copies).isDone)
    #expect(slots.equals(expected))
  }
}
