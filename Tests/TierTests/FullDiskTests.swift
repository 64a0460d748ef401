import Foundation
import RoostConformance
import RoostPrimitives
import RoostStorage
import Testing

@testable import TierDisk

/// A real file system filled to its last byte.
@Suite struct FullDiskTests {
  static let canMount: Bool = {
    guard geteuid() == 0 else { return false }
    return (try? withMount(bytes: 1 << 20) { _ in true }) ?? false
  }()

  static func withMount<Result>(bytes: Int, _ body: (String) throws -> Result) throws -> Result {
    try Scratch.withDirectory { path in
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      try #require(mount("none", path, "tmpfs", 0, "size=\(bytes)") == 0)
      defer { umount2(path, CInt(MNT_DETACH)) }
      return try body(path)
    }
  }

  private static func fillUp(_ path: String) throws {
    let file = open(path + "/filler", O_RDWR | O_CREAT, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(file, block, block.count) > 0 {}
    #expect(errno == ENOSPC)
  }

  @Test(.enabled(if: canMount)) func aFileSystemSmallerThanTheCapacityIsUsedAsFarAsItGoes() throws {
    try FullDiskTests.withMount(bytes: 5 << 20) { mount in
      let tier = try Scratch.open(mount + "/tier", Scratch.configuration(.mebibytes(64)))
      #expect(tier.usage.occupiedBytes <= 5 << 20 && tier.usage.occupiedBytes > 3 << 20)
      // Not one byte is free; what is allocated is enough for all that follows.
      try FullDiskTests.fillUp(mount)
      let sheets = (0..<400 as Range<UInt64>).map { TierSheet($0, byteCount: 16_384) }
      for start in stride(from: 0, to: 400, by: 40) {
        #expect(try tier.write(Array(sheets[start..<(start + 40)])).allSatisfy { $0 == .done })
      }
      #expect(tier.usage.counters.evictedCount > 0 && tier.usage.counters.writeStopCount == 0)
      #expect(try tier.read(Array(sheets.suffix(40))).allSatisfy { $0 == .done })
      // There is no room for a snapshot: the next start reads the headers.
      tier.close(until: Scratch.patience)
      let second = try DiskTier(DiskDirectory(mount + "/tier"), Scratch.configuration(.mebibytes(64)))
      let report = try second.recover(until: Scratch.patience)
      #expect(!report.usedSnapshot && report.pageCount > 100)
      #expect(try second.read(Array(sheets.suffix(40))).allSatisfy { $0 == .done })
    }
  }

  @Test(.enabled(if: canMount)) func aFileSystemWithoutRoomForAnythingIsOneClearError() throws {
    try FullDiskTests.withMount(bytes: 1 << 20) { mount in
      try FullDiskTests.fillUp(mount)
      let error = #expect(throws: RoostError.self) { try Scratch.open(mount + "/tier") }
      #expect(error?.code == .outOfResources)
    }
  }
}
