import CRoostPlatform
import Glibc
import RoostPool
import RoostPrimitives

/// A process that the pool's tests start, limit, and kill: `PoolProbe MODE name=value...`. It writes lines to standard
/// output, each at once, and exits with 0, or with 1 and a line that begins with `error`.
@main struct Probe {
  static func main() {
    Log.level = .error
    let options = Options(CommandLine.arguments.dropFirst())
    do throws(RoostError) {
      try options.applyLimits()
      switch options.mode {
      case "fill": try Filling.run(options)
      case "own": try Owning.run(options)
      case "store": try Storing.run(options)
      case "work": try Working.run(options)
      case "knock": Knocking.run(options)
      default: throw RoostError(.invalidInput, "there is no mode '\(options.mode)'")
      }
    } catch {
      say("error \(error.code.rawValue) \(error)")
      exit(1)
    }
  }

  static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
  }

  /// Sleeps until the test closes standard input, or kills.
  static func waitForEnd() {
    var byte: UInt8 = 0
    while read(STDIN_FILENO, &byte, 1) > 0 {}
  }
}

/// The command line.
struct Options {
  let mode: String
  private var values: [String: String] = [:]

  init(_ arguments: some Sequence<String>) {
    var words = Array(arguments)
    mode = words.isEmpty ? "" : words.removeFirst()
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
    }
  }

  subscript(name: String) -> String? { values[name] }

  func number(_ name: String) -> Int? { values[name].flatMap { Int($0) } }

  var configuration: PoolConfiguration {
    var configuration = PoolConfiguration(
      name: values["name"] ?? "probe", capacity: ByteCount(number("capacity") ?? 1 << 20),
      slotByteCounts: [number("slot") ?? 64 << 10])
    if let path = values["directory"] { configuration.backing = .directory(path: path, keep: values["keep"] != "no") }
    configuration.chunkByteCount = number("chunk")
    return configuration
  }

  /// Makes this process poorer: limits, a control group, another user.
  func applyLimits() throws(RoostError) {
    if let group = values["group"] {
      let file = open(group + "/cgroup.procs", O_WRONLY)
      guard file >= 0, write(file, "0\n", 2) == 2 else {
        throw .system("open", errno, "cannot enter the control group")
      }
      close(file)
    }
    for (name, resource) in [("fsize", RLIMIT_FSIZE), ("as", RLIMIT_AS), ("nofile", RLIMIT_NOFILE)] {
      guard let bytes = number(name) else { continue }
      var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
      guard setrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else {
        throw .system("setrlimit", errno, "cannot set the limit '\(name)'")
      }
    }
    if let user = number("user"), setuid(uid_t(user)) != 0 { throw .system("setuid", errno, "cannot become \(user)") }
  }
}

/// Opens a pool under the limits, takes every slot, writes every byte, reads it back, and reports.
enum Filling {
  static func run(_ options: Options) throws(RoostError) {
    let pool = try Pool.open(options.configuration)
    let capacity = pool.wait(forBytes: .max, until: .after(seconds: 60))
    var slots: [SlotNumber] = []
    while case .slots(let range) = pool.cut(0) { slots += range.map { SlotNumber(rawValue: $0) } }
    for slot in slots {
      let bytes = pool.memory.bytes(of: slot)
      roost_pattern_fill(bytes.baseAddress, bytes.count & ~7, UInt64(slot.rawValue), 0)
    }
    var wrong = 0
    for slot in slots {
      let bytes = pool.memory.bytes(of: slot)
      wrong += roost_pattern_compare(bytes.baseAddress, bytes.count & ~7, UInt64(slot.rawValue), 0, nil)
    }
    Probe.say(
      "committed=\(capacity.committedBytes) slots=\(slots.count) wrong=\(wrong) settled=\(capacity.isSettled) "
        + "shortage=\(capacity.shortage ?? "none")")
    pool.close()
  }
}

/// Owns a pool until it is told to stop.
enum Owning {
  static func run(_ options: Options) throws(RoostError) {
    let pool = try Pool.open(options.configuration)
    _ = pool.wait(forBytes: .max, until: .after(seconds: 60))
    while case .slots = pool.cut(0) {}
    Probe.say("ready \(pool.address)")
    Probe.waitForEnd()
    pool.close()
  }
}

/// Stores sealed pages in random slots as fast as it can, until it is killed. What it has begun and finished it writes
/// into a file that the test reads afterwards: two 32-bit words a slot, the generation begun and the one finished.
enum Storing {
  static func run(_ options: Options) throws(RoostError) {
    let pool = try Pool.open(options.configuration)
    try pool.record(IdentityID(rawValue: 0), IdentityDigest(words: (1, 2, 3, 4)))
    var slots: [SlotNumber] = pool.adoption?.ranges.flatMap { $0.slots.map { SlotNumber(rawValue: $0) } } ?? []
    _ = pool.wait(forBytes: .max, until: .after(seconds: 60))
    while case .slots(let range) = pool.cut(0) { slots += range.map { SlotNumber(rawValue: $0) } }
    let journal = try openJournal(options, slotCount: pool.memory.slotCountMax)
    var random = SplitMix64(seed: UInt64(options.number("seed") ?? 0))
    Probe.say("ready \(slots.count)")
    while true {
      let slot = slots[Int(random.next() % UInt64(slots.count))]
      let words = journal + 2 * Int(slot.rawValue)
      let generation = words[0] + 1
      words[0] = generation
      pool.clear(slot)
      let bytes = pool.memory.bytes(of: slot)
      let seed = UInt64(slot.rawValue) << 32 | UInt64(generation)
      roost_pattern_fill(bytes.baseAddress, bytes.count & ~7, seed, 0)
      var row = SlotRow(
        slot: slot, generation: generation, state: .sealed,
        key: Key(identity: IdentityID(rawValue: 0), group: 0, words: (seed, ~seed, seed, seed)),
        byteCount: UInt32(bytes.count))
      row.seal = pool.seal(of: slot)
      pool.write(row)
      words[1] = generation
    }
  }

  private static func openJournal(_ options: Options, slotCount: Int) throws(RoostError) -> UnsafeMutablePointer<UInt32>
  {
    let file = open(options["journal"] ?? "", O_RDWR)
    guard file >= 0, let address = mmap(nil, slotCount * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      address != MAP_FAILED
    else { throw .system("mmap", errno, "cannot open the journal") }
    return address.bindMemory(to: UInt32.self, capacity: slotCount * 2)
  }
}

/// Attaches to a pool and obeys the first byte of each message: `e` sends the message back, `w` writes into every slot
/// that it knows for ever, `d` detaches and waits, `x` exits without a goodbye, `s` shuts up and waits.
enum Working {
  static func run(_ options: Options) throws(RoostError) {
    let address = try PoolAddress(parsing: options["address"] ?? "")
    let worker = try PoolAttachment.attach(to: address, until: .after(seconds: 20))
    Probe.say("attached")
    while let message = try worker.receive(until: .after(seconds: 60)) {
      switch message.first {
      case UInt8(ascii: "e"): try worker.send(message, until: .after(seconds: 20))
      case UInt8(ascii: "w"): writeForEver(worker)
      case UInt8(ascii: "d"):
        worker.close()
        Probe.say("detached")
        Probe.waitForEnd()
        return
      case UInt8(ascii: "s"): Probe.waitForEnd()
      default: exit(0)
      }
    }
  }

  private static func writeForEver(_ worker: PoolAttachment) {
    var seed: UInt64 = 0
    while true {
      seed += 1
      for slot in 0..<worker.memory.slotCountMax where worker.memory.isKnown(SlotNumber(rawValue: UInt32(slot))) {
        let bytes = worker.memory.bytes(of: SlotNumber(rawValue: UInt32(slot)))
        roost_pattern_fill(bytes.baseAddress, bytes.count & ~7, seed, 0)
      }
      if seed == 1 { Probe.say("writing") }
    }
  }
}

/// Sends bytes to an abstract socket, without asking whose it is, and reports the first byte of the answer.
enum Knocking {
  static func run(_ options: Options) {
    let socket = roost_socket_connect(options["socket"] ?? "", 1, 1000)
    let bytes = (options["bytes"] ?? "").split(separator: ",").compactMap { UInt8($0) }
    _ = bytes.withUnsafeBytes { roost_message_send(socket, $0.baseAddress, $0.count, nil, 0) }
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    poll(&entry, 1, 10_000)
    var answer = [UInt8](repeating: 0, count: 4096)
    var count: CInt = 0
    let length = answer.withUnsafeMutableBytes {
      roost_message_receive(socket, $0.baseAddress, $0.count, nil, 0, &count)
    }
    Probe.say(length > 0 ? "answer \(answer[0])" : "silence")
  }
}
