import CRoostPlatform
import RoostDevice
import RoostLayout
import RoostPrimitives
import RoostTransfer

/// A KV cache on a device the way serving engines lay it out: one tensor a layer, each with a piece of every block. For
/// workers, benchmarks and tests, which fill it with patterns and compare; on a device whose memory the host cannot
/// address, by way of a piece of host memory.
///
/// Owns its device memory. Filling and comparing is up to the caller to order against copies.
public final class LayeredCache: Sendable {
  /// The shape of a layered cache.
  public struct Shape: Sendable, Hashable {
    /// Tensors: pieces of a page.
    public var layerCount: Int
    /// Bytes of one layer's piece of a block.
    public var pieceByteCount: Int
    /// Blocks on the device.
    public var blockCount: Int

    /// Describes a shape.
    public init(layerCount: Int, pieceByteCount: Int, blockCount: Int) {
      self.layerCount = layerCount
      self.pieceByteCount = pieceByteCount
      self.blockCount = blockCount
    }

    /// Bytes of a page.
    public var pageByteCount: Int { layerCount * pieceByteCount }
  }

  /// The shape.
  public let shape: Shape
  /// How a page is copied between the cache and a slot, in which the layers lie one after another.
  public let template: PageTemplate
  private let device: any Device
  private let tensors: [DeviceMemory]
  /// Nil if the host addresses the device's memory.
  private let bounce: Locked<DeviceBounce>?

  /// Allocates the tensors.
  ///
  /// - Throws: `invalidInput` for an empty shape, or what the device throws when it has no memory.
  public init(_ shape: Shape, on device: any Device) throws(RoostError) {
    guard shape.layerCount > 0, shape.pieceByteCount > 0, shape.blockCount > 0 else {
      throw RoostError(.invalidInput, "a cache has at least one layer, one byte and one block")
    }
    let isAddressable = device.description.capabilities.contains(.hostAddressable)
    bounce = isAddressable ? nil : Locked(try DeviceBounce(device, byteCount: shape.pieceByteCount))
    self.shape = shape
    self.device = device
    var tensors: [DeviceMemory] = []
    do throws(RoostError) {
      for _ in 0..<shape.layerCount {
        tensors.append(try device.allocate(byteCount: shape.blockCount * shape.pieceByteCount))
      }
      template = try LayeredCache.template(of: shape, in: tensors, device.description.efficientRunBytes)
    } catch {
      for tensor in tensors { try? device.free(tensor) }
      throw error
    }
    self.tensors = tensors
  }

  private static func template(
    of shape: Shape, in tensors: [DeviceMemory], _ efficientRunBytes: Int
  ) throws(RoostError) -> PageTemplate {
    var parts: [PagePart] = []
    for layer in tensors.indices { parts.append(try LayeredCache.part(layer, shape)) }
    let regions = tensors.map {
      PagedRegion(
        address: $0.address, byteCount: $0.byteCount, blockStrideBytes: shape.pieceByteCount,
        blockCount: shape.blockCount)
    }
    return try PageTemplate(
      regions: regions, parts: parts, slotByteCount: shape.pageByteCount, efficientRunBytes: efficientRunBytes)
  }

  deinit {
    // Nothing can be done about a device that does not take its memory back.
    for tensor in tensors { try? device.free(tensor) }
  }

  private static func part(_ layer: Int, _ shape: Shape) throws(RoostError) -> PagePart {
    do throws(LayoutError) {
      let axes = [Axis("content", shape.pieceByteCount, strideBytes: 1)]
      let device = try Layout(axes: axes, itemByteCount: 1)
      let slot = try Layout(axes: axes, itemByteCount: 1, offsetBytes: layer * shape.pieceByteCount)
      return PagePart(region: layer, device: device, slot: slot)
    } catch {
      throw error.roostError
    }
  }

  /// Fills a block with the pattern of a seed.
  ///
  /// - Precondition: the block exists.
  public func fill(_ block: UInt32, seed: UInt64) {
    forEachPiece(block, .hostToDevice) { piece, firstWord in
      roost_pattern_fill(piece, shape.pieceByteCount, seed, firstWord)
    }
  }

  /// The number of bytes of a block that differ from the pattern of a seed; all of a piece that the device does not give.
  ///
  /// - Precondition: the block exists.
  public func wrongByteCount(_ block: UInt32, seed: UInt64) -> Int {
    var wrong = 0
    let failed = forEachPiece(block, .deviceToHost) { piece, firstWord in
      wrong += roost_pattern_compare(piece, shape.pieceByteCount, seed, firstWord, nil)
    }
    return wrong + failed * shape.pieceByteCount
  }

  /// Calls `body` with every piece of a block, where the host can write or read it. Returns how many could not be copied.
  @discardableResult private func forEachPiece(
    _ block: UInt32, _ direction: CopyDirection, _ body: (UnsafeMutableRawPointer, UInt64) -> Void
  ) -> Int {
    precondition(Int(block) < shape.blockCount, "the device has no such block")
    let wordsPerPiece = UInt64((shape.pieceByteCount + 7) / 8)
    var failed = 0
    for (layer, tensor) in tensors.enumerated() {
      let address = tensor.address + UInt(Int(block) * shape.pieceByteCount)
      let firstWord = UInt64(layer) * wordsPerPiece
      guard bounce != nil else {
        // The device is host-addressable, and allocated memory does not begin at 0.
        body(UnsafeMutableRawPointer(bitPattern: address)!, firstWord)
        continue
      }
      let isCopied = bounce?.withLock { bounce -> Bool in
        guard let bytes = bounce.bytes else { return false }
        if direction == .deviceToHost, !bounce.copy(shape.pieceByteCount, address, direction) { return false }
        body(bytes, firstWord)
        return direction == .deviceToHost || bounce.copy(shape.pieceByteCount, address, direction)
      }
      if isCopied != true { failed += 1 }
    }
    return failed
  }
}
