import Foundation
import RoostPrimitives
import Testing

@testable import RoostPool

/// Systems that give less than asked for. Everything that the pool then hands out must still be writable.
@Suite(.serialized) struct ShortageTests {
  struct Filled {
    var exit: Int
    var committed = -1
    var slots = -1
    var wrong = -1
    var shortage = ""

    init(_ options: [String: String]) throws {
      let child = try Child("fill", options)
      let line = child.line() ?? ""
      exit = child.wait()
      for word in line.split(separator: " ") {
        let parts = word.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let value = Int(parts[1]) else { continue }
        switch parts[0] {
        case "committed": committed = value
        case "slots": slots = value
        case "wrong": wrong = value
        default: break
        }
      }
      shortage = line
    }
  }

  @Test(.enabled(if: Privileges.canMount, "needs the right to mount"))
  func aSmallFileSystemMakesThePoolSmallerAndEverySlotStaysWritable() throws {
    try Privileges.withMount(bytes: 64 << 20) { path in
      let pool = try Pool.open(Scratch.configuration(capacity: 256 << 20, slots: [256 << 10], in: path))
      defer { pool.close() }
      let capacity = pool.wait(forBytes: .max, until: Scratch.deadline)
      #expect(capacity.committedBytes > 48 << 20 && capacity.committedBytes < 64 << 20)
      #expect(capacity.shortage?.contains("remount") == true)
      let slots = try Scratch.cutAll(pool)
      #expect(slots.count == capacity.committedBytes / (256 << 10))
      try Privileges.fillUp(path)
      for slot in slots { Scratch.fill(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue)) }
      for slot in slots {
        #expect(Scratch.isFilled(pool.memory.bytes(of: slot), seed: UInt64(slot.rawValue)))
        pool.write(SlotRow(slot: slot, generation: 1, state: .ready, key: Scratch.key(1)))
      }
    }
  }

  @Test(.enabled(if: Privileges.canMount, "needs the right to mount"))
  func aFullFileSystemIsOneErrorThatSaysWhatToDo() throws {
    try Privileges.withMount(bytes: 2 << 20) { path in
      try Privileges.fillUp(path)
      let error = #expect(throws: RoostError.self) {
        try Pool.open(Scratch.configuration(capacity: 256 << 20, slots: [256 << 10], in: path))
      }
      #expect(error?.code == .outOfResources)
    }
  }

  @Test(.enabled(if: Privileges.canLimitMemory, "needs the right to make control groups"))
  func aSmallControlGroupMakesThePoolSmallerAndKillsNobody() throws {
    try Privileges.withControlGroup(limit: 96 << 20) { group in
      try Scratch.withDirectory { path in
        for place in [[:], ["directory": path, "keep": "no"]] {
          let options = [
            "group": group, "capacity": "\(256 << 20)", "slot": "\(64 << 10)", "name": Scratch.uniqueName(),
          ]
          let filled = try Filled(options.merging(place) { $1 })
          #expect(filled.exit == 0, "\(filled.shortage)")
          #expect(filled.committed > 32 << 20 && filled.committed < 96 << 20)
          #expect(filled.slots == filled.committed / (64 << 10) && filled.wrong == 0)
          #expect(filled.shortage.contains("control group"))
        }
      }
    }
  }

  @Test func smallFilesMakeSmallChunksAndNoSignal() throws {
    let filled = try Filled([
      "fsize": "\(8 << 20)", "capacity": "\(40 << 20)", "slot": "\(256 << 10)", "name": Scratch.uniqueName(),
    ])
    #expect(filled.exit == 0 && filled.committed == 40 << 20 && filled.wrong == 0, "\(filled.shortage)")
  }

  @Test func filesSmallerThanASlotAreOneError() throws {
    let filled = try Filled([
      "fsize": "\(128 << 10)", "capacity": "\(40 << 20)", "slot": "\(256 << 10)", "name": Scratch.uniqueName(),
    ])
    #expect(filled.exit == 1 && filled.shortage.contains("outOfResources") && filled.shortage.contains("ulimit -f"))
  }

  @Test func filesTooSmallForTheTableMakeThePoolSmaller() throws {
    // 512-byte slots need 80 bytes of table each: 64 MiB of them 10 MiB.
    let filled = try Filled([
      "fsize": "\(3 << 20)", "capacity": "\(64 << 20)", "slot": "512", "name": Scratch.uniqueName(),
    ])
    #expect(filled.exit == 0 && filled.wrong == 0, "\(filled.shortage)")
    #expect(filled.committed > 8 << 20 && filled.committed < 20 << 20)
    #expect(filled.shortage.contains("ulimit -f"))
  }

  @Test(.enabled(if: !Privileges.isSanitized, "sanitizers need terabytes of address space"))
  func littleAddressSpaceMakesThePoolSmaller() throws {
    let filled = try Filled([
      "as": "\(512 << 20)", "capacity": "\(2 << 30)", "slot": "\(256 << 10)", "chunk": "\(8 << 20)",
      "name": Scratch.uniqueName(),
    ])
    #expect(filled.exit == 0 && filled.wrong == 0, "\(filled.shortage)")
    #expect(filled.committed >= 8 << 20 && filled.committed < 448 << 20)
    #expect(filled.shortage.contains("ulimit -v"))
  }

  @Test func fewDescriptorsMakeThePoolSmaller() throws {
    // Room for descriptors that the child inherits from tests that run beside this one.
    let filled = try Filled([
      "nofile": "48", "capacity": "\(64 << 20)", "slot": "\(64 << 10)", "chunk": "\(1 << 20)",
      "name": Scratch.uniqueName(),
    ])
    #expect(filled.exit == 0 && filled.wrong == 0, "\(filled.shortage)")
    #expect(filled.committed >= 4 << 20 && filled.committed < 48 << 20)
    #expect(filled.shortage.contains("ulimit -n"))
  }

  @Test func missingReservedHugePagesAreReplacedByOthers() throws {
    var configuration = Scratch.configuration(capacity: 8 << 20, slots: [256 << 10])
    configuration.hugePages = .reserved(byteCount: 2 << 20)
    let pool = try Pool.open(configuration)
    defer { pool.close() }
    let slots = try Scratch.cutAll(pool)
    #expect(slots.count == 32)
    for slot in slots { Scratch.fill(pool.memory.bytes(of: slot), seed: 1) }
    #expect(pool.capacity.shortage == nil)
  }
}
