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

  /// Fills bytes with numbers that depend on the seed and the place.
  static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let words = bytes.bindMemory(to: UInt64.self)
    for index in words.indices { words[index] = generator.next() }
    for index in (words.count * 8)..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
  }

  static func isFilled(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64) -> Bool {
    let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { expected.deallocate() }
    fill(expected, seed: seed)
    return memcmp(expected.baseAddress!, bytes.baseAddress!, bytes.count) == 0
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
