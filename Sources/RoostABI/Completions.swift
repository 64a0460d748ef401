import CRoostABI
import RoostEngine
import RoostPrimitives

/// Writes how leases and jobs ended, with their failed positions in memory of the calling thread.
struct Completions {
  /// One of them.
  struct Item {
    var value: roost_completion
    var failed: [Int]
  }

  /// Writes the items to the caller's array, which has room for them.
  static func write(_ items: [Item], to target: Arguments.OutArray<roost_completion>) throws(RoostError) {
    let count = items.reduce(0) { $0 + $1.failed.count }
    var free: UnsafeMutablePointer<UInt32>?
    if count > 0 {
      guard let numbers = roost_abi_numbers(count) else {
        throw RoostError(.outOfResources, "there is no memory for \(count) positions")
      }
      free = numbers
    }
    for (index, item) in items.enumerated() {
      var value = item.value
      value.failed_count = item.failed.count
      if let start = free, !item.failed.isEmpty {
        for (position, block) in item.failed.enumerated() { start[position] = UInt32(truncatingIfNeeded: block) }
        value.failed = UnsafePointer(start)
        free = start + item.failed.count
      }
      target.write(value, at: index)
    }
  }

  static func item(_ result: HandOutResult) -> Item {
    let outcome =
      switch result.outcome {
      case .done: result.failedPositions.isEmpty ? ROOST_DONE : ROOST_PARTLY_FAILED
      case .cancelled: ROOST_GIVEN_UP
      case .lost: ROOST_FAILED
      }
    let value = roost_completion(
      struct_bytes: 0, id: result.lease.rawValue, request: result.request.rawValue,
      verb: UInt32(result.verb.rawValue), outcome: UInt32(outcome), byte_count: UInt64(result.byteCount),
      seconds: result.seconds, failed: nil, failed_count: 0)
    return Item(value: value, failed: result.failedPositions)
  }

  static func item(_ result: EmbeddedResult) -> Item {
    let outcome =
      switch result.outcome {
      case .done: result.failedBlocks.isEmpty ? ROOST_DONE : ROOST_PARTLY_FAILED
      case .cancelled: ROOST_GIVEN_UP
      case .failed: ROOST_FAILED
      }
    let value = roost_completion(
      struct_bytes: 0, id: result.number, request: 0, verb: 0, outcome: UInt32(outcome),
      byte_count: UInt64(result.byteCount), seconds: result.seconds, failed: nil, failed_count: 0)
    return Item(value: value, failed: result.failedBlocks)
  }
}
