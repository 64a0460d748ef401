import RoostBench
import RoostConsole
import RoostPrimitives

/// `roost bench`: measures this machine and prints what `RoostBench` registers.
enum BenchCommand {
  static var command: Command {
    var command = Command(
      "bench", summary: "measure what this machine does, beside what it could do"
    ) { (arguments) throws(RoostError) in try run(arguments) }
    command.discussion = [
      """
      Copies are measured beside one-thread memcpy of 64 MiB, each sample next to one of the limit, because the speed \
      of a shared machine drifts by tens of percent within seconds: trust the ratio more than the figure.
      """
    ]
    command.operands = [
      CommandOperand("NAME", isOptional: true, "Which one; all of them if left out (under 5 minutes).")
    ]
    command.options = [
      .flag("smoke", "Only check that they run: seconds, small sizes, figures that mean little."),
      .flag("json", "Print one JSON object on standard output and nothing else there."),
    ]
    command.topic = ("Benches", Benches.all.map { ($0.name, $0.summary) })
    command.examples = [
      CommandExample("roost bench", "Everything, as tables."),
      CommandExample("roost bench transfer --json", "One of them, for a script."),
    ]
    return command
  }

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let chosen = try benches(named: arguments.operands.first)
    let scale: BenchScale = arguments.isOn("smoke") == true ? .smoke : .full
    let isJSON = arguments.isOn("json") == true
    let machine = MachineDescription.current()
    if !isJSON { try Terminal.write(text(of: machine)) }
    var rows: [JSONValue] = []
    for bench in chosen {
      Terminal.note("bench: \(bench.name): \(bench.summary)\n")
      let results = try bench.run(scale)
      rows += results.map { json(of: $0, bench: chosen.count > 1 ? bench.name : nil) }
      if !isJSON { try Terminal.write("\n\(bench.name): \(bench.summary)\n\n\(table(of: results))") }
    }
    if isJSON {
      let name = arguments.operands.first ?? "all"
      let whole: JSONValue = .object([
        "bench": .string(name), "scale": .string(scale.rawValue), "machine": json(of: machine), "results": .array(rows),
      ])
      try Terminal.write(whole.serialized + "\n")
    }
    return .success
  }

  private static func benches(named name: String?) throws(RoostError) -> [Bench] {
    guard let name else { return Benches.all }
    let known = Benches.all.map(\.name)
    let found = Benches.all.filter { $0.name == name }
    guard found.isEmpty else { return found }
    let hint =
      nearest(to: name, among: known).map { "; did you mean '\($0)'?" }
      ?? "; there are: \(known.joined(separator: ", "))"
    throw RoostError(.invalidInput, "there is no bench '\(name)'\(hint)")
  }

  private static func table(of results: [BenchResult]) -> String {
    var table = Table([
      ("name", .left), ("median", .right), ("min", .right), ("max", .right), ("unit", .left), ("ratio", .right),
      ("reference", .left),
    ])
    for result in results {
      let figures = [result.median, result.min, result.max].map { NumberText.fixed($0, $0 < 100 ? 2 : 0) }
      let ratio = result.ratio.map { NumberText.fixed($0, 2) + "x" } ?? ""
      table.add([result.name] + figures + [result.unit, ratio, result.reference])
    }
    return table.text
  }

  private static func text(of machine: MachineDescription) -> String {
    """
    \(machine.cpu), \(machine.coreCount) processors, \(ByteCount(machine.memoryBytes)), \(machine.kernel), \
    huge pages: \(machine.hugePages)

    """
  }

  private static func json(of machine: MachineDescription) -> JSONValue {
    .object([
      "cpu": .string(machine.cpu), "cores": .count(machine.coreCount), "memory_bytes": .count(machine.memoryBytes),
      "kernel": .string(machine.kernel), "huge_pages": .string(machine.hugePages),
    ])
  }

  private static func json(of result: BenchResult, bench: String?) -> JSONValue {
    var members = [
      JSONMember("name", .string(result.name)), JSONMember("median", .number(result.median)),
      JSONMember("min", .number(result.min)), JSONMember("max", .number(result.max)),
      JSONMember("unit", .string(result.unit)), JSONMember("reference", .string(result.reference)),
      JSONMember("ratio", result.ratio.map { .number($0) } ?? .null),
    ]
    if let bench { members.insert(JSONMember("bench", .string(bench)), at: 0) }
    return .object(members)
  }
}
