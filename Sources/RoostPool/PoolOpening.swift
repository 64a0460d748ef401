import CRoostPlatform
import Glibc
import RoostPrimitives

/// The steps of opening a pool, and what comes out of them.
struct PoolOpening {
  let configuration: PoolConfiguration
  let boot: BootToken
  let directory: PoolDirectory?
  let table: SlotTable
  let memory: SlotMemory
  let store: ChunkStore
  /// What a former owner left, read; nil if the pool starts empty.
  let scan: AdoptionScan?
  /// Bytes asked for.
  let requestedBytes: Int
  /// Why the plan is already smaller than asked for.
  let shortage: String?

  /// Checks the configuration, and becomes the owner of its directory if it has one.
  static func claim(_ configuration: PoolConfiguration) throws(RoostError) -> PoolDirectory? {
    try configuration.validate()
    guard case .directory(let path, _) = configuration.backing else { return nil }
    let swept = PoolDirectory.sweep(path, except: configuration.name, boot: try BootToken.current())
    if !swept.isEmpty { Log.write(.info, "removed pools of dead owners: \(swept.joined(separator: ", "))") }
    return try PoolDirectory.open(name: configuration.name, in: path)
  }

  init(_ configuration: PoolConfiguration, _ directory: PoolDirectory?) throws(RoostError) {
    self.configuration = configuration
    self.directory = directory
    boot = try BootToken.current()
    try directory?.waitForFormerMembers(until: .after(seconds: Limits.adoptionWaitSeconds))
    store = ChunkStore(
      name: configuration.name, directory: directory?.descriptor, hugePages: configuration.hugePages)
    let whole = try ChunkPlan(configuration)
    requestedBytes = whole.byteCount
    if let directory, let kept = PoolOpening.kept(in: directory, configuration, boot) {
      memory = try SlotMemory(plan: kept.layout.plan)
      table = try SlotTable(
        file: kept.file, layout: kept.layout, poolToken: kept.identity.poolToken, isWritable: true)
      shortage = nil
      table.owner = .current
      var scan = AdoptionScan(table: table, memory: memory, store: store)
      try scan.run()
      self.scan = scan
      return
    }
    scan = nil
    directory?.removeContents()
    let (plan, shortage) = try PoolOpening.fitting(configuration, whole)
    self.shortage = shortage
    memory = try SlotMemory(plan: plan)
    table = try PoolOpening.makeTable(configuration, plan, boot, directory)
    table.owner = .current
  }

  // MARK: Kept pools

  /// The table of a kept pool that this owner can adopt. One log line says why not, if there was one.
  private static func kept(
    in directory: PoolDirectory, _ configuration: PoolConfiguration, _ boot: BootToken
  ) -> KeptTable? {
    do throws(RoostError) {
      let kept = try KeptTable(in: directory, boot: boot)
      // A pool that nobody asked to keep is only found after its owner was killed.
      guard kept.identity.isKept else { return nil }
      try check(kept, configuration)
      // Nothing that is read later may be a hole: on a full file system reading one kills.
      let result = roost_file_allocate(kept.file.number, 0, Int64(kept.layout.byteCount))
      _ = try Descriptor.check(result, "fallocate", "there is no memory for the slot table")
      return kept
    } catch {
      if error.code != .notFound {
        Log.write(.warning, "the kept pool '\(configuration.name)' is dropped, it starts empty: \(error)")
      }
      return nil
    }
  }

  private static func check(_ kept: KeptTable, _ configuration: PoolConfiguration) throws(RoostError) {
    guard configuration.isKept else { throw RoostError(.stale, "its new owner does not keep pools") }
    guard kept.identity.user == geteuid() else { throw RoostError(.invalidInput, "it belongs to another user") }
    guard kept.identity.contentToken == configuration.contentToken else {
      throw RoostError(.stale, "its pages were made for another configuration")
    }
    guard kept.layout.plan.sizes == configuration.slotByteCounts.map(SlotSize.init),
      kept.identity.capacityBytes == configuration.capacity.bytes
    else {
      throw RoostError(
        .stale, "its capacity or its slot sizes differ from what is asked for now",
        context: [("capacity", "\(ByteCount(kept.identity.capacityBytes))")])
    }
  }

  // MARK: New pools

  /// The plan that fits this process's limits on file size and address space, and why it is smaller if it is.
  private static func fitting(
    _ configuration: PoolConfiguration, _ whole: ChunkPlan
  ) throws(RoostError) -> (ChunkPlan, shortage: String?) {
    let fileBytesMax = MemoryLimits.fileBytesMax
    var plan = try ChunkPlan(configuration, fileBytesMax: fileBytesMax)
    var reasons: [String] = []
    if plan.byteCount < whole.byteCount {
      reasons.append("files may have \(ByteCount(fileBytesMax)); raise it (ulimit -f)")
    }
    var count = plan.chunkCount
    while count > 1, TableLayout(plan: plan).byteCount > fileBytesMax {
      count -= (count + 7) / 8
      plan.limit(chunkCount: count)
      reasons = ["the slot table's file may have \(ByteCount(fileBytesMax)); raise it (ulimit -f)"]
    }
    guard TableLayout(plan: plan).byteCount <= fileBytesMax else {
      throw RoostError(
        .outOfResources, "files of \(ByteCount(fileBytesMax)) are too small for a pool; raise the limit (ulimit -f)")
    }
    guard let room = MemoryLimits.addressSpaceRoom else { return (plan, reasons.first) }
    let fixed = plan.alignmentBytes
    let slotBytes = plan.slotCountMax * SlotMemory.bytesPerSlot
    let perChunk = (plan.addressSpaceBytes + TableLayout(plan: plan).byteCount + slotBytes) / plan.chunkCount
    let fitting = max(0, room - fixed) / perChunk
    guard fitting >= 1 else {
      throw RoostError(
        .outOfResources,
        "this process may take \(ByteCount(room)) more of address space, too little for a pool; raise it (ulimit -v)")
    }
    if fitting < plan.chunkCount {
      plan.limit(chunkCount: fitting)
      reasons.append("this process may take \(ByteCount(room)) more of address space; raise it (ulimit -v)")
    }
    return (plan, reasons.first)
  }

  private static func makeTable(
    _ configuration: PoolConfiguration, _ plan: ChunkPlan, _ boot: BootToken, _ directory: PoolDirectory?
  ) throws(RoostError) -> SlotTable {
    let file: Descriptor
    if let directory {
      file = try Descriptor(in: directory.descriptor, "table", O_RDWR | O_CREAT | O_EXCL)
    } else {
      let number = roost_memory_file("roost-table-" + configuration.name, 0)
      file = Descriptor(
        try Descriptor.check(number, "memfd_create", "cannot make a memory file; raise ulimit -n if files ran out"))
    }
    let layout = TableLayout(plan: plan)
    let room = MemoryLimits().room(for: file)
    var needed = layout.rowsOffset
    if case .reserved = configuration.hugePages {} else { needed += plan.smallestStrideBytes }
    guard room.bytes >= needed else {
      throw RoostError(.outOfResources, "there is no room for even one slot of the pool: \(room.reason)")
    }
    let identity = TableIdentity(
      boot: boot, user: geteuid(), poolToken: UInt64.random(in: .min ... .max),
      contentToken: configuration.contentToken, capacityBytes: configuration.capacity.bytes,
      isKept: configuration.isKept)
    let table = try SlotTable.create(in: file, layout, identity)
    if directory == nil {
      // From here on, nobody else can make the table writable or shorter.
      _ = roost_memory_seal_writes(file.number)
      _ = roost_memory_seal_size(file.number)
    }
    return table
  }

  // MARK: The socket

  /// Where workers attach.
  var address: PoolAddress {
    switch configuration.backing {
    case .anonymous: .anonymous(name: configuration.name)
    case .directory(let path, _): .directory(path: path, name: configuration.name)
    }
  }

  /// Starts listening; nil if nobody may attach. Call it last: from then on workers come.
  ///
  /// - Throws: `busy` if an anonymous pool of this name exists.
  func makeSocket() throws(RoostError) -> OwnerSocket? {
    guard configuration.acceptsAttachments else { return nil }
    let address = address
    if let directory { _ = unlinkat(directory.descriptor.number, "socket", 0) }
    let number = address.withSocketName { roost_socket_listen($0, $1, CInt(Limits.listenBacklog)) }
    if number == -EADDRINUSE {
      let owner = PoolOpening.owner(of: address).map { "process \($0)" } ?? "another process"
      throw RoostError(.busy, "the pool '\(configuration.name)' is owned by \(owner); stop it, or choose another name")
    }
    guard number >= 0 else {
      throw .system("bind", -number, "cannot make the pool's socket", context: [("address", "\(address)")])
    }
    let listener = Descriptor(number)
    return try OwnerSocket(
      listener: listener,
      offer: OwnerSocket.Offer(
        boot: boot, table: try readOnlyTable(), hugePages: configuration.hugePages != .none, directory: directory))
  }

  /// The table's file, opened for reading only.
  private func readOnlyTable() throws(RoostError) -> Descriptor {
    if let directory { return try Descriptor(in: directory.descriptor, "table", O_RDONLY) }
    let number = Glibc.open("/proc/self/fd/\(table.file.number)", O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw .system("open", errno, "cannot open the slot table for reading; is /proc mounted?") }
    return Descriptor(number)
  }

  /// The process that listens at an address.
  private static func owner(of address: PoolAddress) -> Int32? {
    let number = address.withSocketName { roost_socket_connect($0, $1, 100) }
    guard number >= 0 else { return nil }
    let socket = Descriptor(number)
    var pid: pid_t = 0
    var user: uid_t = 0
    return roost_socket_peer(socket.number, &pid, &user) == 0 && pid > 0 ? pid : nil
  }
}
