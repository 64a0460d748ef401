import RoostConsole
import RoostPrimitives
import RoostReplay

/// `roost replay`: a trace through the real engine, with real bytes.
enum ReplayCommand {
  static var command: Command {
    var command = Command(
      "replay", summary: "replay a serving trace through real memory and check every byte"
    ) { (arguments) throws(RoostError) in try run(arguments) }
    command.discussion = [
      """
      For each request of the trace, in file order: look up its blocks, load those that are there from the host pool \
      into device pages and compare every byte, "compute" the others (fill their pages with a pattern that only their \
      key gives), and store them. What does not fit is evicted by the policy.
      """,
      """
      A trace has one JSON object a line, with timestamp (ms), input_length, output_length (tokens) and hash_ids (one \
      whole number a block, prefix-chained: an id always has the same predecessor), as Mooncake published them; .zst is \
      unpacked. Without a trace, a built-in workload of chats, agents and shared documents is made from the seed.
      """,
      """
      Exit status: 0 when everything was moved and verified, 1 when something failed or did not verify, 2 for a command \
      line or input that cannot be used.
      """,
    ]
    command.operands = [
      CommandOperand("TRACE", isOptional: true, "A .jsonl or .jsonl.zst file, or - for standard input.")
    ]
    command.options = options
    command.examples = [
      CommandExample("roost replay", "The built-in workload through a 4 GiB pool: real copies, every byte checked."),
      CommandExample(
        "roost replay trace.jsonl.zst --dry-run --host-blocks 18279",
        "Only decisions, no bytes: the hit ratio of a cache of so many blocks, in seconds."),
      CommandExample(
        "roost replay trace.jsonl.zst --dry-run --policy lru,hazard --sizes 1%,5%,10% --bound",
        "A table: policies side by side, and what would be possible."),
      CommandExample(
        "roost replay --model deepseek-v3 --block-bytes full --host-memory 8GiB", "The model's own pages of 34 MiB."),
      CommandExample("roost replay --report report.html", "The same as a page to open in a browser, print or send."),
      CommandExample(
        "roost replay --host-memory 512MiB --disk /var/tmp/roost --disk-capacity 4GiB",
        "A small pool over a disk; run it twice, and the second run starts warm."),
      CommandExample("roost replay --fault corrupt=3", "Flips three stored bytes, to see that verification notices."),
    ]
    return command
  }

  private static let options: [CommandOption] = [
    .value(
      "policy", "NAME[+output],...",
      """
      What decides which blocks stay: \(Replay.policyNames.joined(separator: ", ")); with +output it is told each \
      request's output length. Several, with commas or by repeating the option: compare them. Default: hazard.
      """),
    .value(
      "host-memory", "SIZE", "Size of the pool in host memory, such as 4GiB or 512MiB. Default: 4GiB."),
    .value("host-blocks", "N", "Size of the pool in blocks, in place of --host-memory."),
    .value(
      "sizes", "SIZE,...",
      "Sizes of the pool to compare, in place of the two: blocks, or percent of the trace's distinct blocks (1%,5%)."),
    .flag(
      "bound", "Compute, for each size, the hits that no policy can exceed, for it would have to know the future."),
    .value(
      "store-after", "N", "Store a block only when it stands in its N-th request: for hosts short of write bandwidth."),
    .value(
      "model", "MODEL",
      """
      Whose page geometry: \(ModelGeometry.known.map(\.name).joined(separator: ", ")), or \
      layers=32,heads=8,head-dim=128[,dtype=bfloat16][,tokens=512], with latent=576 in place of heads and head-dim for \
      MLA. Default: llama-3.1-8b.
      """),
    .value(
      "block-bytes", "SIZE",
      """
      Bytes of a block's page: the model's pieces (one layer of 16 tokens), but fewer of them, so that a trace of \
      terabytes fits a workstation; 'full' for the model's own page. Default: 256KiB.
      """),
    .value("device", "URI", "Where pages come from and go to. Default: cpu:0."),
    .value("requests", "N", "End after N requests. Default: all."),
    .value(
      "seed", "N", "Start of everything random: the built-in workload, and which bytes --fault flips. Default: 1."),
    .toggle("verify", initially: true, "Compare every loaded byte (the default), or do not."),
    .value(
      "disk", "DIR",
      "A directory below the pool: evicted pages come back from there, and a second replay finds what the first one left."
    ),
    .value("disk-capacity", "SIZE", "All that --disk may take of its drive. Default: four times the pool."),
    .value(
      "disk-writes", "RULE",
      "Which pages are written there: again (those that a second request asked for; the default), all or none."),
    .value(
      "disk-policy", "NAME",
      "What decides which pages stay there, as --policy for the pool: \(Replay.policyNames.joined(separator: ", ")). Default: lru."
    ),
    .flag("dry-run", "Control plane only: no memory, no copies."),
    .value("fault", "corrupt=N", "Flip N bytes of stored pages that will be loaded again, spread over the run."),
    .value(
      "report", "FILE.html",
      "Write a page with charts: hit ratio, where blocks came from, latencies, pool. Self-contained; open it anywhere."),
    .flag("json", "Print one JSON object on standard output and nothing else there."),
  ]

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let plan = try ReplayPlan(arguments)
    let stream: any RequestStream =
      if let path = arguments.operands.first {
        try TraceReader(path: path)
      } else {
        BuiltInWorkload(seed: plan.seed)
      }
    var page: OutputFile?
    if let path = arguments.text("report") { page = try OutputFile(path) }
    StopRequest.listen()
    let isJSON = arguments.isOn("json") == true
    let reports = plan.isComparison ? try compare(plan, stream, isJSON) : [try single(plan, stream, isJSON)]
    if let page, let main = reports.first {
      try page.write(HTMLReport(main, comparedWith: Array(reports.dropFirst())).text)
      if !isJSON { try Terminal.write("report: \(page.path)\n") }
    }
    if reports.contains(where: { !$0.statistics.isSound }) { return .failure }
    return reports.contains { $0.statistics.wasInterrupted } ? .interrupted : .success
  }

  private static func single(
    _ plan: ReplayPlan, _ stream: any RequestStream, _ isJSON: Bool
  ) throws(RoostError) -> ReplayReport {
    let report = try Replay(try plan.configurations(uniqueCount: 0)[0][0]).run(stream)
    try Terminal.write(isJSON ? report.json.serialized + "\n" : report.text)
    return report
  }

  /// Replays everything for each size and policy. Returns the reports of the first size: those make a page.
  private static func compare(
    _ plan: ReplayPlan, _ stream: any RequestStream, _ isJSON: Bool
  ) throws(RoostError) -> [ReplayReport] {
    let trace = try RecordedTrace(stream, limit: plan.requestLimit)
    let bound = plan.wantsBound ? OfflineBound(trace) : nil
    var comparison = ReplayComparison([], uniqueCount: trace.uniqueCount)
    for configurations in try plan.configurations(uniqueCount: trace.uniqueCount) where !StopRequest.isMade {
      let slotCount = configurations[0].slotCount
      var row = ReplayComparison.Row(slotCount: slotCount, offlineHits: bound?.hits(slotCount: slotCount))
      for configuration in configurations where !StopRequest.isMade {
        let report = try Replay(configuration).run(trace.stream())
        row.reports.append(report)
        guard isJSON else { continue }
        try Terminal.write(ReplayComparison.json(report, offlineHits: row.offlineHits).serialized + "\n")
      }
      comparison.rows.append(row)
    }
    if !isJSON { try Terminal.write(comparison.text) }
    if let report = comparison.impossible.first {
      throw RoostError(
        .corrupt,
        "\(report.configuration.policyLabel) exceeds the offline bound, which cannot be: hits are miscounted, or "
          + "the ids of the trace are not prefix-chained")
    }
    return comparison.rows.first?.reports ?? []
  }
}
