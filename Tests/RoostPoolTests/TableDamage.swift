import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// Ways to spoil a slot table's file.
enum TableDamage {
  /// Changes the header and makes its check right again.
  static func rewriteHeader(_ path: String, _ change: (inout roost_table_header) -> Void) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { bytes.deallocate() }
    data.copyBytes(to: bytes, count: 4096)
    let start = try #require(bytes.baseAddress)
    var header = start.load(as: roost_table_header.self)
    change(&header)
    start.storeBytes(of: header, as: roost_table_header.self)
    header.check = TableHeader.check(start)
    start.storeBytes(of: header, as: roost_table_header.self)
    data.replaceSubrange(0..<4096, with: bytes)
    try data.write(to: URL(fileURLWithPath: path))
  }

  /// Flips bits, overwrites or zeroes stretches, moves rows about, or cuts the end off. The parts that the table uses
  /// (chunks, the first identity, rows) are hit more often than the rest.
  static func spoil(_ table: Data, _ random: inout SplitMix64) -> Data {
    var data = table
    let rows = table.count - 64 * 80 - 4096
    let places = [0..<2048, 4096..<4352, 4352..<4400, max(0, rows)..<table.count, 0..<table.count]
    let kind = random.next() % 6
    for _ in 0...(random.next() % 8) {
      let place = places[kind == 5 ? 4 : Int(random.next() % 16).clamped(to: places.count)]
      let offset = place.lowerBound + Int(random.next() % UInt64(place.count))
      switch kind {
      case 0, 1: data[offset] ^= 1 << UInt8(random.next() % 8)
      case 2: data[offset] = UInt8(truncatingIfNeeded: random.next())
      case 3:
        let length = min(data.count - offset, Int(random.next() % 256))
        for index in offset..<offset + length { data[index] = UInt8(truncatingIfNeeded: random.next()) }
      case 4:
        let from = Int(random.next() % UInt64(data.count - 80)) / 80 * 80
        let to = Int(random.next() % UInt64(data.count - 80)) / 80 * 80
        data.replaceSubrange(to..<to + 80, with: table[from..<from + 80])
      default: return data.prefix(offset)
      }
    }
    return data
  }
}

extension Int {
  /// Below `count`; what is beyond falls on the last but one: rows.
  fileprivate func clamped(to count: Int) -> Int { self < count ? self : count - 2 }
}
