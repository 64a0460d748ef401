import Glibc
import RoostConsole
import RoostEngine
import RoostPrimitives
import RoostReplay

/// What a command line of `roost replay` asks for: one run, or one for each size and policy.
struct ReplayPlan {
  /// A size of the pool.
  private enum Size {
    case blocks(Int)
    /// Of the trace's distinct blocks.
    case percent(Double)
  }

  /// Whether there is more than one run, or a bound to compare with: then the trace is kept in memory.
  var isComparison: Bool { policies.count > 1 || sizes.count > 1 || wantsBound || isRelative }
  let wantsBound: Bool
  var requestLimit: Int? { common.requestLimit }
  var seed: UInt64 { common.seed }

  private var common: ReplayConfiguration
  private var policies: [(name: String, tellsOutputLength: Bool)] = []
  private var sizes: [Size] = []

  private var isRelative: Bool {
    sizes.contains { if case .percent = $0 { true } else { false } }
  }

  init(_ arguments: Arguments) throws(RoostError) {
    let model = try ModelGeometry(parsing: arguments.text("model") ?? "llama-3.1-8b")
    let page =
      arguments.text("block-bytes") == "full"
      ? PageGeometry(full: model)
      : try PageGeometry(scaling: model, to: try arguments.byteCount("block-bytes")?.bytes ?? 256 << 10)
    wantsBound = arguments.isOn("bound") == true
    common = ReplayConfiguration(page: page, slotCount: 1)
    common.device = arguments.text("device") ?? common.device
    common.isDryRun = arguments.isOn("dry-run") == true
    common.verifies = arguments.isOn("verify") ?? true
    common.faultCount = try ReplayPlan.faultCount(arguments)
    common.seed = try arguments.seed("seed") ?? common.seed
    common.requestLimit = try arguments.integer("requests", in: 1...(.max))
    common.storeRequestCountMin = try arguments.integer("store-after", in: 1...255) ?? 1
    let names = try arguments.list("policy")
    policies = (names.isEmpty ? [common.policy] : names).map(ReplayPlan.policy)
    sizes = try ReplayPlan.sizes(arguments, page)
    try readDisk(arguments, page)
    if !isRelative { for row in try configurations(uniqueCount: 0) { try row[0].check() } }
    for policy in policies { try named(policy).check() }
  }

  /// The tier below the pool, if one is asked for.
  private mutating func readDisk(_ arguments: Arguments, _ page: PageGeometry) throws(RoostError) {
    let capacity = try arguments.byteCount("disk-capacity")
    let rule = arguments.text("disk-writes")
    let policy = arguments.text("disk-policy")
    guard let directory = arguments.text("disk") else {
      guard capacity == nil, rule == nil, policy == nil else {
        throw RoostError(
          .invalidInput, "--disk-capacity, --disk-writes and --disk-policy say something about --disk; give that too")
      }
      return
    }
    guard !isComparison else {
      throw RoostError(.invalidInput, "--disk goes with one policy and one size: the runs would share the directory")
    }
    guard let admission = TierSetup.Admission(rawValue: rule ?? TierSetup.Admission.again.rawValue) else {
      throw RoostError(.invalidInput, "--disk-writes is again, all or none, not '\(rule ?? "")'")
    }
    let names = Replay.policyNames
    if let policy, !names.contains(policy) {
      let meant = nearest(to: policy, among: names).map { "; did you mean '\($0)'?" } ?? ""
      throw RoostError(
        .invalidInput, "--disk-policy is one of \(names.joined(separator: ", ")), not '\(policy)'\(meant)")
    }
    var slotCount = 1
    if case .blocks(let count) = sizes[0] { slotCount = count }
    let bytes = capacity?.bytes ?? 4 * slotCount * page.byteCount
    common.tier = try ReplayPlan.diskAddress(directory, capacity: bytes) + "&policy=\(policy ?? "lru")"
    common.tierAdmission = admission
  }

  /// The address of a disk tier; a directory that is not whole begins where the program does.
  private static func diskAddress(_ directory: String, capacity: Int) throws(RoostError) -> String {
    var path = directory
    if !path.hasPrefix("/") {
      guard let here = getcwd(nil, 0) else { throw .system("getcwd", errno, "give --disk a path from the root on") }
      path = String(cString: here) + "/" + path
      free(here)
    }
    let escaped = path.utf8.map { byte -> String in
      let isPlain = byte == UInt8(ascii: "/") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
      let character = Character(UnicodeScalar(byte))
      if isPlain || byte == UInt8(ascii: "_") || (character.isASCII && (character.isLetter || character.isNumber)) {
        return String(character)
      }
      let digits = String(byte, radix: 16, uppercase: true)
      return "%" + (digits.count == 1 ? "0" : "") + digits
    }
    return "disk://\(escaped.joined())?capacity=\(capacity)"
  }

  /// A configuration for each size and, within, each policy.
  func configurations(uniqueCount: Int) throws(RoostError) -> [[ReplayConfiguration]] {
    var rows: [[ReplayConfiguration]] = []
    for size in sizes {
      var slotCount: Int
      switch size {
      case .blocks(let count): slotCount = count
      case .percent(let percent): slotCount = max(1, Int(Double(uniqueCount) * percent / 100))
      }
      rows.append(
        policies.map { policy in
          var configuration = named(policy)
          configuration.slotCount = slotCount
          return configuration
        })
    }
    return rows
  }

  private func named(_ policy: (name: String, tellsOutputLength: Bool)) -> ReplayConfiguration {
    var configuration = common
    configuration.policy = policy.name
    configuration.tellsOutputLength = policy.tellsOutputLength
    return configuration
  }

  private static func policy(_ text: String) -> (name: String, tellsOutputLength: Bool) {
    let suffix = "+output"
    return text.hasSuffix(suffix) ? (String(text.dropLast(suffix.count)), true) : (text, false)
  }

  private static func sizes(_ arguments: Arguments, _ page: PageGeometry) throws(RoostError) -> [Size] {
    let memory = try arguments.byteCount("host-memory")
    let blocks = try arguments.integer("host-blocks", in: 1...(.max))
    let texts = try arguments.list("sizes")
    guard [memory != nil, blocks != nil, !texts.isEmpty].count(where: { $0 }) <= 1 else {
      throw RoostError(
        .invalidInput, "--host-blocks, --host-memory and --sizes are ways to say the same; give one of them")
    }
    guard texts.isEmpty else {
      var sizes: [Size] = []
      for text in texts { sizes.append(try size(text)) }
      return sizes
    }
    if let blocks { return [.blocks(blocks)] }
    let bytes = memory ?? .gibibytes(4)
    guard bytes.bytes >= page.byteCount else {
      throw RoostError(
        .invalidInput, "--host-memory \(bytes) has no room for one block of \(ByteCount(page.byteCount)); give it more")
    }
    return [.blocks(bytes.bytes / page.byteCount)]
  }

  private static func size(_ text: String) throws(RoostError) -> Size {
    if text.hasSuffix("%"), let percent = Double(text.dropLast()), percent > 0, percent <= 100 {
      return .percent(percent)
    }
    if let count = Int(text), count > 0 { return .blocks(count) }
    throw RoostError(
      .invalidInput, "--sizes takes numbers of blocks or percents up to 100, such as 1%,5%,2000, not '\(text)'")
  }

  private static func faultCount(_ arguments: Arguments) throws(RoostError) -> Int {
    guard let text = arguments.text("fault") else { return 0 }
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0] == "corrupt", let count = Int(parts[1]), (1...1_000_000).contains(count) else {
      throw RoostError(.invalidInput, "--fault takes corrupt=N with N from 1 to 1000000, not '\(text)'")
    }
    return count
  }
}
