import RoostPrimitives
import RoostStorage

extension DiskTier {
  /// The options of a disk tier's address, each with what it means.
  public static let addressOptions: [(name: String, meaning: String)] = [
    (
      "capacity",
      "All bytes that the tier may take, its own and the file system's included; needed, a path each: 500GiB."
    ),
    ("sync", "never (default): survives the death of the process. batch: survives a loss of power, batch by batch."),
    ("depth", "Operations at once, 1 to 1024; 32 if left out."),
    ("io", "automatic (default), ring, threads or cached."),
    ("pin", "The most memory that io_uring may pin to read into: 0 for none; what ulimit -l allows if left out."),
    ("policy", "What decides which pages stay: lru (default), or another of the pool's policies."),
    ("segment", "The size of a new tier's files; chosen from the capacity if left out."),
  ]

  /// Opens the tier at `disk:///PATH?capacity=SIZE`; see `addressOptions`. Several paths with a capacity each, all
  /// separated by commas, make one tier that is striped over them: `disk:///ssd0,/ssd1?capacity=1TiB,2TiB`.
  ///
  /// - Throws: `invalidInput` for an option that is unknown, missing or malformed; what `init` throws.
  ///
  /// `orders`: the policies that there are besides `lru`.
  public static func open(
    _ address: TierAddress, orders: [EvictionOrderKind] = []
  ) throws(RoostError) -> any Tier {
    try address.refuseOptions(except: addressOptions.map(\.name))
    let paths = address.place.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard paths.allSatisfy({ $0.hasPrefix("/") }), Set(paths).count == paths.count else {
      throw RoostError(
        .invalidInput,
        "a disk tier needs a path from the root on, or different ones separated by commas: "
          + "disk:///var/lib/roost?capacity=500GiB")
    }
    guard let sizes = address.options["capacity"]?.split(separator: ","), sizes.count == paths.count else {
      throw RoostError(
        .invalidInput,
        "a disk tier needs a capacity for each path: disk://\(address.place)?capacity="
          + paths.map { _ in "500GiB" }.joined(separator: ","))
    }
    let order = try order(address, orders)
    var stripes: [Striped.Stripe] = []
    for (path, size) in zip(paths, sizes) {
      let capacity = try ByteCount(parsing: String(size))
      let tier = try open(path, capacity, address, order)
      guard paths.count > 1 else { return tier }
      stripes.append(Striped.Stripe(tier, label: path, capacity: capacity))
    }
    return Striped(stripes)
  }

  private static func open(
    _ path: String, _ capacity: ByteCount, _ address: TierAddress, _ order: EvictionOrderKind?
  ) throws(RoostError) -> DiskTier {
    var configuration = DiskTierConfiguration(capacity: capacity)
    configuration.order = order
    configuration.segment = try address.size("segment")
    if let text = address.options["sync"] {
      guard let sync = SyncPolicy(rawValue: text) else {
        throw unknown("sync", text, SyncPolicy.allCases.map(\.rawValue))
      }
      configuration.sync = sync
    }
    if let text = address.options["depth"] {
      guard let depth = Int(text) else { throw unknown("depth", text, ["1 to \(Limits.depthMax)"]) }
      configuration.depth = depth
    }
    let io = address.options["io"] ?? DiskIO.automatic.rawValue
    guard let chosen = DiskIO(rawValue: io) else { throw unknown("io", io, DiskIO.allCases.map(\.rawValue)) }
    let pin = try address.size("pin")
    return try DiskTier(DiskDirectory(path, io: chosen, pinnedBytesMax: pin?.bytes), configuration)
  }

  /// The policy of an address; nil for the tier's own.
  private static func order(
    _ address: TierAddress, _ orders: [EvictionOrderKind]
  ) throws(RoostError) -> EvictionOrderKind? {
    guard let name = address.options["policy"], name != "lru" else { return nil }
    guard let order = orders.last(where: { $0.name == name }) else {
      throw unknown("policy", name, ["lru"] + orders.map(\.name))
    }
    return order
  }

  private static func unknown(_ option: String, _ value: String, _ known: [String]) -> RoostError {
    let meant = nearest(to: value, among: known).map { "; did you mean '\($0)'?" } ?? ""
    return RoostError(
      .invalidInput, "'\(value)' is no \(option) of a disk tier; there are: \(known.joined(separator: ", "))\(meant)")
  }
}
