import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// What the tests of the pool share: names, patterns, directories.
enum Scratch {
  static let soon: Double = 20

  static var deadline: Deadline { .after(seconds: soon) }

  static func configuration(
    capacity: Int, slots: [Int], in directory: String? = nil, keep: Bool = true, name: String = uniqueName()
  ) -> PoolConfiguration {
    var configuration = PoolConfiguration(name: name, capacity: ByteCount(capacity), slotByteCounts: slots)
    if let directory { configuration.backing = .directory(path: directory, keep: keep) }
    return configuration
  }

  static func uniqueName() -> String { "test-\(getpid())-\(UInt32.random(in: 0 ... .max))" }

  /// All slots of a class, waiting for them.
  static func cutAll(_ pool: Pool, class slotClass: Int = 0) throws -> [SlotNumber] {
    let end = deadline
    var slots: [SlotNumber] = []
    while true {
      switch pool.cut(slotClass) {
      case .slots(let range): slots += range.map(SlotNumber.init(rawValue:))
      case .exhausted: return slots
      case .notYet:
        _ = pool.wait(forBytes: pool.capacity.committedBytes + 1, until: deadline)
        try #require(!end.hasPassed(), "the pool does not get ready")
      }
    }
  }

  /// Fills bytes, in whole words, with numbers that depend on the seed and the place.
  static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) {
    roost_pattern_fill(bytes.baseAddress, bytes.count & ~7, seed, 0)
  }

  static func isFilled(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) -> Bool {
    roost_pattern_compare(bytes.baseAddress, bytes.count & ~7, seed, 0, nil) == 0
  }

  /// A key that the seed alone gives.
  static func key(_ seed: UInt64, identity: UInt32 = 0) -> Key {
    var generator = SplitMix64(seed: seed)
    return Key(
      identity: IdentityID(rawValue: identity), group: 3,
      words: (generator.next(), generator.next(), generator.next(), generator.next()))
  }

  /// A directory that is removed afterwards.
  static func withDirectory<Result>(in parent: String = "/dev/shm", _ body: (String) throws -> Result) throws -> Result
  {
    let path = parent + "/" + uniqueName()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }
}
