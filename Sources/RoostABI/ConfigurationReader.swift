import RoostBlocks
import RoostBuiltins
import RoostConsole
import RoostEngine
import RoostPool
import RoostPrimitives

/// Reads an engine's configuration from JSON. Every key is known, or the nearest valid one is proposed.
enum ConfigurationReader {
  static func read(_ text: String) throws(RoostError) -> EngineConfiguration {
    var object = try ObjectReader(try JSONValue(parsing: text), "the configuration")
    let groups = try groups(try object.require("groups"))
    let policy = try object.text("policy") ?? HazardIndex.factory.name
    var configuration = EngineConfiguration(
      groups: groups, memory: .none(slotCount: 1), policy: try Builtins.policies().factory(named: policy))
    configuration.memory = .pool(try pool(&object))
    configuration.storeRequestCountMin = try object.count("store_after") ?? 1
    configuration.slotCountMax = try object.count("slots_max")
    configuration.verification = try verification(try object.text("verify") ?? "adopted")
    configuration.watermark = try object.take("watermark").map(watermark)
    configuration.eventCountMax = try object.count("events_max") ?? 0
    configuration.servesWorkers = true
    let tier = try tier(&object)
    try object.finish()
    // The last step, because it takes the tier's directory.
    configuration.tier = try tier?.open()
    return configuration
  }

  /// What the configuration says about a tier.
  private struct TierWish {
    var address: String
    var admission: TierSetup.Admission
    var prefillTokensPerSecond: Double?

    func open() throws(RoostError) -> TierSetup {
      var setup = TierSetup(try Builtins.tiers().open(address))
      setup.admission = admission
      setup.prefillTokensPerSecond = prefillTokensPerSecond
      return setup
    }
  }

  private static func tier(_ object: inout ObjectReader) throws(RoostError) -> TierWish? {
    let addresses = try object.list("tiers") ?? []
    let text = try object.text("tier_admission") ?? TierSetup.Admission.again.rawValue
    guard let admission = TierSetup.Admission(rawValue: text) else {
      throw object.wrong("tier_admission", "\"again\", \"all\" or \"none\"")
    }
    let prefill = try object.number("prefill_tokens_per_second")
    if let prefill, !(prefill > 0) { throw object.wrong("prefill_tokens_per_second", "a number above zero") }
    guard let first = addresses.first else { return nil }
    guard addresses.count == 1, let address = first.text else {
      throw object.wrong("tiers", "a list with one address, such as \"disk:///var/lib/roost?capacity=500GiB\"")
    }
    return TierWish(address: address, admission: admission, prefillTokensPerSecond: prefill)
  }

  private static func pool(_ object: inout ObjectReader) throws(RoostError) -> PoolConfiguration {
    let capacity: ByteCount
    switch try object.require("capacity") {
    case .string(let text): capacity = try ByteCount(parsing: text)
    case let value:
      guard let bytes = value.int else { throw object.wrong("capacity", "a number of bytes, or text such as \"4GiB\"") }
      capacity = ByteCount(bytes)
    }
    var pool = PoolConfiguration(name: try object.text("name") ?? uniqueName(), capacity: capacity, slotByteCounts: [])
    let keep = try object.flag("keep") ?? false
    if let path = try object.text("directory") {
      pool.backing = .directory(path: path, keep: keep)
    } else if keep {
      throw RoostError(.invalidInput, "a pool that is to be kept needs a 'directory'")
    }
    switch object.take("huge_pages") {
    case nil, .string("transparent")?: pool.hugePages = .transparent
    case .string("none")?: pool.hugePages = .none
    case .string(let size)?: pool.hugePages = .reserved(byteCount: try ByteCount(parsing: size).bytes)
    default: throw object.wrong("huge_pages", "\"transparent\", \"none\" or a size such as \"2MiB\"")
    }
    pool.chunkByteCount = try object.count("chunk_bytes")
    pool.acceptsAttachments = try object.flag("accepts_workers") ?? true
    for node in try object.list("numa_nodes") ?? [] {
      guard let number = node.int else { throw object.wrong("numa_nodes", "a list of numbers") }
      pool.numaNodes.append(number)
    }
    return pool
  }

  private static func groups(_ value: JSONValue) throws(RoostError) -> [EngineConfiguration.Group] {
    guard let elements = value.elements else {
      throw RoostError(.invalidInput, "'groups' must be a list of objects with page_bytes and tokens_per_block")
    }
    var groups: [EngineConfiguration.Group] = []
    for (number, element) in elements.enumerated() {
      var object = try ObjectReader(element, "group \(number)")
      let pageBytes = try object.require("page_bytes").int
      let tokens = try object.require("tokens_per_block").int
      guard let pageBytes, let tokens else { throw object.wrong("page_bytes and tokens_per_block", "whole numbers") }
      let window = try object.count("window_tokens")
      let kind: GroupKind
      switch (try object.text("kind") ?? "full", window) {
      case ("full", nil): kind = .full
      case ("state", nil): kind = .state
      case ("window", let tokens?): kind = .window(tokens: tokens)
      case ("window", nil): throw RoostError(.invalidInput, "group \(number) is a window and needs window_tokens")
      default: throw object.wrong("kind", "\"full\", \"window\" (with window_tokens) or \"state\"")
      }
      try object.finish()
      groups.append(EngineConfiguration.Group(pageByteCount: pageBytes, kind: kind, tokensPerBlock: tokens))
    }
    return groups
  }

  private static func verification(_ text: String) throws(RoostError) -> EngineConfiguration.Verification {
    switch text {
    case "none": return .none
    case "adopted": return .adopted
    case "host": return .host
    default:
      throw RoostError(.invalidInput, "'verify' is \"none\", \"adopted\" or \"host\", not \"\(text)\"")
    }
  }

  private static func watermark(_ value: JSONValue) throws(RoostError) -> Watermark {
    var object = try ObjectReader(value, "the watermark")
    let start = try object.number("start") ?? 0.95
    let stop = try object.number("stop") ?? 0.9
    let ratio = try object.number("ratio") ?? 1
    try object.finish()
    return try Watermark(start: start, stop: stop, ratio: ratio)
  }

  /// A name that no other pool has.
  private static func uniqueName() -> String {
    var generator = SystemRandomNumberGenerator()
    return "engine-" + String(generator.next(), radix: 36)
  }
}
