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
        "roost replay --model deepseek-v3 --block-bytes full --host-memory 8GiB", "The model's own pages of 34 MiB."),
      CommandExample("roost replay --report report.html", "The same as a page to open in a browser, print or send."),
      CommandExample("roost replay --fault corrupt=3", "Flips three stored bytes, to see that verification notices."),
    ]
    return command
  }

  private static let options: [CommandOption] = [
    .value(
      "policy", "NAME",
      "What decides which blocks stay: \(Replay.policyNames.joined(separator: ", ")). Default: hazard."),
    .value(
      "host-memory", "SIZE", "Size of the pool in host memory, such as 4GiB or 512MiB. Default: 4GiB."),
    .value("host-blocks", "N", "Size of the pool in blocks, in place of --host-memory."),
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
    .flag("dry-run", "Control plane only: no memory, no copies."),
    .value("fault", "corrupt=N", "Flip N bytes of stored pages that will be loaded again, spread over the run."),
    .value(
      "report", "FILE.html",
      "Write a page with charts: hit ratio, where blocks came from, latencies, pool. Self-contained; open it anywhere."),
    .flag("json", "Print one JSON object on standard output and nothing else there."),
  ]

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let configuration = try configuration(arguments)
    let stream: any RequestStream =
      if let path = arguments.operands.first {
        try TraceReader(path: path)
      } else {
        BuiltInWorkload(seed: configuration.seed)
      }
    var page: OutputFile?
    if let path = arguments.text("report") { page = try OutputFile(path) }
    StopRequest.listen()
    let report = try Replay(configuration).run(stream)
    let isJSON = arguments.isOn("json") == true
    try Terminal.write(isJSON ? report.json.serialized + "\n" : report.text)
    if let page {
      try page.write(HTMLReport(report).text)
      if !isJSON { try Terminal.write("report: \(page.path)\n") }
    }
    if !report.statistics.isSound { return .failure }
    return report.statistics.wasInterrupted ? .interrupted : .success
  }

  private static func configuration(_ arguments: Arguments) throws(RoostError) -> ReplayConfiguration {
    let model = try ModelGeometry(parsing: arguments.text("model") ?? "llama-3.1-8b")
    let page =
      arguments.text("block-bytes") == "full"
      ? PageGeometry(full: model)
      : try PageGeometry(scaling: model, to: try arguments.byteCount("block-bytes")?.bytes ?? 256 << 10)
    var configuration = ReplayConfiguration(page: page, slotCount: try slotCount(arguments, page))
    configuration.policy = arguments.text("policy") ?? configuration.policy
    configuration.device = arguments.text("device") ?? configuration.device
    configuration.isDryRun = arguments.isOn("dry-run") == true
    configuration.verifies = arguments.isOn("verify") ?? true
    configuration.faultCount = try faultCount(arguments)
    configuration.seed = try arguments.seed("seed") ?? configuration.seed
    configuration.requestLimit = try arguments.integer("requests", in: 1...(.max))
    try configuration.check()
    return configuration
  }

  private static func slotCount(_ arguments: Arguments, _ page: PageGeometry) throws(RoostError) -> Int {
    let memory = try arguments.byteCount("host-memory")
    if let blocks = try arguments.integer("host-blocks", in: 1...(.max)) {
      guard memory == nil else {
        throw RoostError(
          .invalidInput, "--host-blocks and --host-memory are two ways to say the same; give one of them")
      }
      return blocks
    }
    let bytes = memory ?? .gibibytes(4)
    guard bytes.bytes >= page.byteCount else {
      throw RoostError(
        .invalidInput, "--host-memory \(bytes) has no room for one block of \(ByteCount(page.byteCount)); give it more")
    }
    return bytes.bytes / page.byteCount
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
