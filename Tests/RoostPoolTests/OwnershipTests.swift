import CRoostPlatform
import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

@Suite struct OwnershipTests {
  @Test(arguments: [true, false]) func aSecondOwnerGetsOneErrorThatNamesTheFirst(inDirectory: Bool) throws {
    try Scratch.withDirectory { path in
      let name = Scratch.uniqueName()
      let place = inDirectory ? path : nil
      let owner = try Child("own", ["name": name].merging(place.map { ["directory": $0] } ?? [:]) { $1 })
      try #require(owner.line()?.hasPrefix("ready") == true)
      let configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: place, name: name)
      let error = #expect(throws: RoostError.self) { try Pool.open(configuration) }
      #expect(error?.code == .busy && error?.description.contains("process \(owner.pid)") == true, "\(error as Any)")
      owner.kill()
      let pool = try Pool.open(configuration)
      #expect((pool.adoption != nil) == inDirectory)
      // Nor does the same process get it twice.
      let again = #expect(throws: RoostError.self) { try Pool.open(configuration) }
      #expect(again?.code == .busy)
      pool.close()
    }
  }

  @Test func aClosedPoolLeavesNothingUnlessItIsKept() throws {
    try Scratch.withDirectory { path in
      for keep in [false, true] {
        let configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path, keep: keep)
        let pool = try Pool.open(configuration)
        _ = try Scratch.cutAll(pool)
        pool.close()
        pool.close()
        #expect(FileManager.default.fileExists(atPath: path + "/\(configuration.name).roost") == keep)
      }
    }
  }

  @Test func filesAreForTheOwnersEyesOnly() throws {
    try Scratch.withDirectory { path in
      let before = umask(0)
      defer { umask(before) }
      let configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path)
      let pool = try Pool.open(configuration)
      defer { pool.close() }
      _ = try Scratch.cutAll(pool)
      let folder = path + "/\(configuration.name).roost"
      func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
      }
      #expect(try mode(folder) == 0o700)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(Set(names) == ["lock", "members", "table", "socket", "chunk-0000"])
      for name in names { #expect(try mode(folder + "/" + name) == 0o600, "\(name)") }
    }
  }

  @Test func poolsOfDeadOwnersAreSweptUnlessTheyAreKept() throws {
    try Scratch.withDirectory { path in
      for (name, keep) in [("kept", "yes"), ("fleeting", "no"), ("living", "no")] {
        let child = try Child("own", ["directory": path, "name": name, "keep": keep])
        try #require(child.line()?.hasPrefix("ready") == true)
        if name == "living" {
          // Not a pool of ours, whatever it is called.
          try FileManager.default.createDirectory(atPath: path + "/alien.roost", withIntermediateDirectories: false)
          try Data([1]).write(to: URL(fileURLWithPath: path + "/alien.roost/table"))
          let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [4096], in: path, name: "new"))
          let left = try FileManager.default.contentsOfDirectory(atPath: path)
          #expect(Set(left) == ["kept.roost", "living.roost", "alien.roost", "new.roost"])
          pool.close()
        }
        child.kill()
      }
    }
  }

  @Test func aKeptPoolOfAnotherBootIsSweptAndNotAdopted() throws {
    try Scratch.withDirectory { path in
      let configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path)
      func age() throws {
        let pool = try Pool.open(configuration)
        AdoptionTests.store(pool, try #require(try Scratch.cutAll(pool).first), seed: 1)
        pool.close()
        try TableDamage.rewriteHeader(path + "/\(configuration.name).roost/table") { $0.boot_token.0 ^= 1 }
      }
      try age()
      let pool = try Pool.open(configuration)
      #expect(pool.adoption == nil)
      pool.close()
      try age()
      let other = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path))
      #expect(!FileManager.default.fileExists(atPath: path + "/\(configuration.name).roost"))
      other.close()
    }
  }

  @Test func aKeptPoolMadeForSomethingElseIsNotAdopted() throws {
    try Scratch.withDirectory { path in
      let configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path)
      let changes: [(inout PoolConfiguration) -> Void] = [
        { $0.contentToken = 9 }, { $0.slotByteCounts = [32 << 10] }, { $0.slotByteCounts.append(4096) },
        { $0.capacity = ByteCount(2 << 20) }, { $0.backing = .directory(path: path, keep: false) },
      ]
      for change in changes {
        let pool = try Pool.open(configuration)
        let slots = try Scratch.cutAll(pool)
        if let slot = slots.first { AdoptionTests.store(pool, slot, seed: 1) }
        pool.close()
        var other = configuration
        change(&other)
        let next = try Pool.open(other)
        #expect(next.adoption == nil)
        #expect(try Scratch.cutAll(next).count > 0)
        next.close()
        try? FileManager.default.removeItem(atPath: path + "/\(configuration.name).roost")
      }
    }
  }

  @Test func badConfigurationsAreErrorsThatSayWhatToDo() throws {
    let changes: [(inout PoolConfiguration) -> Void] = [
      { $0.name = "" }, { $0.name = "../x" }, { $0.name = ".x" }, { $0.name = "a/b" },
      { $0.name = String(repeating: "x", count: 65) }, { $0.capacity = ByteCount(0) }, { $0.capacity = ByteCount(-1) },
      { $0.capacity = ByteCount(.max) }, { $0.slotByteCounts = [] }, { $0.slotByteCounts = [0] },
      { $0.slotByteCounts = [-5] }, { $0.slotByteCounts = [4096, 4096] }, { $0.slotByteCounts = [2 << 20] },
      { $0.slotByteCounts = Array(1...65) }, { $0.slotByteCounts = [.max] }, { $0.chunkByteCount = 4096 },
      { $0.chunkByteCount = .max }, { $0.numaNodes = [-1] }, { $0.backing = .directory(path: "", keep: true) },
      { $0.hugePages = .reserved(byteCount: 12345) }, { $0.hugePages = .reserved(byteCount: -1) },
      { $0.hugePages = .reserved(byteCount: 0) },
    ]
    for (index, change) in changes.enumerated() {
      var configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10])
      change(&configuration)
      let error = #expect(throws: RoostError.self, "change \(index)") { try Pool.open(configuration) }
      #expect(error?.code == .invalidInput, "change \(index)")
    }
    let missing = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: "/nonexistent/x")
    #expect(throws: RoostError.self) { try Pool.open(missing) }
  }

  @Test func spreadsChunksOverNumaNodesWhereThereAreSuch() throws {
    var configuration = Scratch.configuration(capacity: 4 << 20, slots: [64 << 10])
    configuration.chunkByteCount = 1 << 20
    configuration.numaNodes = [0, 1000]
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    #expect(try Scratch.cutAll(pool).count == 64)
  }
}

/// What a failed or repeated opening leaves behind.
@Suite struct OpeningTests {
  @Test func aFailedOpeningLeavesNothing() throws {
    try Scratch.withDirectory { path in
      var configuration = Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: path, keep: false)
      // The socket's place is taken by something that cannot be removed as a file.
      try FileManager.default.createDirectory(
        atPath: path + "/\(configuration.name).roost/socket/x", withIntermediateDirectories: true)
      #expect(throws: RoostError.self) { try Pool.open(configuration) }
      let left = try FileManager.default.subpathsOfDirectory(atPath: path + "/\(configuration.name).roost")
      #expect(Set(left) == ["socket", "socket/x"])
      configuration.name += "2"
      configuration.capacity = ByteCount(1)
      #expect(throws: RoostError.self) { try Pool.open(configuration) }
      #expect(!FileManager.default.fileExists(atPath: path + "/\(configuration.name).roost"))
    }
  }

  @Test func aDirectoryDeepDownHasASocketAllTheSame() throws {
    try Scratch.withDirectory { path in
      let deep = path + "/" + Array(repeating: String(repeating: "d", count: 60), count: 4).joined(separator: "/")
      try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
      let pool = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [64 << 10], in: deep))
      defer { pool.close() }
      let address = try PoolAddress(parsing: pool.address.description)
      #expect(address == pool.address)
      #expect(try PoolAttachment.attach(to: address, until: Scratch.deadline).memory.slotCountMax == 16)
    }
  }

  @Test func manyOwnersThatOpenAtOnceSweepWithoutHarm() throws {
    try Scratch.withDirectory { path in
      let dead = try (0..<4).map { try Child("own", ["directory": path, "name": "dead-\($0)", "keep": "no"]) }
      for child in dead { _ = child.line() }
      for child in dead { child.kill() }
      let children = try (0..<8).map { index in
        // Half of them take over a name that the others sweep.
        try Child("own", ["directory": path, "name": index < 4 ? "dead-\(index)" : "new-\(index)", "keep": "no"])
      }
      for child in children { #expect(child.line()?.hasPrefix("ready") == true) }
      for child in children { child.kill() }
      let last = try Pool.open(Scratch.configuration(capacity: 1 << 20, slots: [4096], in: path, name: "last"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["last.roost"])
      last.close()
    }
  }

  @Test func addressesThatAreNoneAreRefused() {
    for text in ["", "unix:", "unix:@", "tcp:x", "/x", "unix:a\0b"] {
      #expect(throws: RoostError.self) { try PoolAddress(parsing: text) }
    }
    #expect(throws: RoostError.self) {
      try PoolAttachment.attach(to: .directory(path: "/nonexistent", name: "x"), until: Scratch.deadline)
    }
    #expect(throws: RoostError.self) {
      try PoolAttachment.attach(to: .anonymous(name: Scratch.uniqueName()), until: Scratch.deadline)
    }
  }
}
