import RoostConsole
import RoostPrimitives
import Testing

@Suite struct ArgumentsTests {
  private var command: Command {
    var command = Command("replay", summary: "replays") { (_) throws(RoostError) in .success }
    command.operands = [CommandOperand("TRACE", isOptional: true, "the trace")]
    command.options = [
      .value("policy", "NAME", "Which policy."), .value("host-memory", "SIZE", "How much."),
      .value("seed", "N", "Seed."), .toggle("verify", initially: true, "Compare."), .flag("json", "JSON."),
    ]
    return command
  }

  private func message(_ words: [String]) -> String? {
    do throws(RoostError) {
      _ = try Arguments(parsing: words, for: command)
      return nil
    } catch {
      return error.message
    }
  }

  @Test func takesValuesAfterASpaceAndAfterAnEqualsSign() throws {
    let spaced = try Arguments(parsing: ["--policy", "lru", "a.jsonl", "--seed", "-3"], for: command)
    #expect(spaced.text("policy") == "lru")
    #expect(spaced.text("seed") == "-3")
    #expect(spaced.operands == ["a.jsonl"])
    let joined = try Arguments(parsing: ["--policy=a=b", "--host-memory="], for: command)
    #expect(joined.text("policy") == "a=b")
    #expect(joined.text("host-memory") == "")
  }

  @Test func knowsFlagsAndBothSidesOfAToggle() throws {
    let arguments = try Arguments(parsing: ["--json", "--no-verify"], for: command)
    #expect(arguments.isOn("json") == true)
    #expect(arguments.isOn("verify") == false)
    #expect(try Arguments(parsing: ["--verify"], for: command).isOn("verify") == true)
    #expect(try Arguments(parsing: [], for: command).isOn("verify") == nil)
    #expect(try Arguments(parsing: ["--no-verify", "--verify"], for: command).isOn("verify") == true)
  }

  @Test func takesADashAsOperandAndStopsAtTwoDashes() throws {
    #expect(try Arguments(parsing: ["-"], for: command).operands == ["-"])
    #expect(try Arguments(parsing: ["--", "--policy"], for: command).operands == ["--policy"])
  }

  @Test func proposesTheNearestOption() {
    #expect(message(["--polcy", "lru"]) == "unknown option '--polcy'; did you mean '--policy'?")
    #expect(message(["--hostmemory=1"]) == "unknown option '--hostmemory'; did you mean '--host-memory'?")
    #expect(message(["--noverify"])?.hasSuffix("did you mean '--no-verify'?") == true)
    #expect(message(["--frobnicate"]) == "unknown option '--frobnicate'")
    #expect(message(["-j"])?.hasPrefix("unknown option '-j'") == true)
  }

  @Test func refusesMissingAndUnwantedValuesAndExtraOperands() {
    #expect(message(["--policy"]) == "--policy needs a value: --policy NAME")
    #expect(message(["--policy", "--json"]) == "--policy needs a value: --policy NAME")
    #expect(message(["--json=1"]) == "--json takes no value, but was given '1'")
    #expect(message(["a", "b"]) == "unexpected argument 'b': the command takes TRACE")
  }

  @Test func namesTheOptionWhenAValueIsOutOfRange() throws {
    func problem(_ words: [String], _ read: (Arguments) throws(RoostError) -> Void) throws -> String? {
      let arguments = try Arguments(parsing: words, for: command)
      do throws(RoostError) { try read(arguments) } catch { return error.message }
      return nil
    }
    #expect(
      try problem(["--seed", "x"]) { a throws(RoostError) in _ = try a.integer("seed", in: 1...9) }
        == "--seed takes a whole number from 1 to 9, not 'x'")
    #expect(
      try problem(["--seed=0"]) { a throws(RoostError) in _ = try a.integer("seed", in: 1...(.max)) }
        == "--seed takes a whole number of at least 1, not '0'")
    #expect(
      try problem(["--host-memory", "4Gib2"]) { a throws(RoostError) in _ = try a.byteCount("host-memory") }?
        .hasPrefix("--host-memory: '4Gib2' is not a size") == true)
    #expect(try problem(["--host-memory", "0"]) { a throws(RoostError) in _ = try a.byteCount("host-memory") } != nil)
    #expect(
      try Arguments(parsing: ["--host-memory=1.5GiB"], for: command).byteCount("host-memory")?.bytes == 1_610_612_736)
  }

  @Test(arguments: [
    ("relpay", "replay"), ("rep", "replay"), ("bnech", "bench"), ("layouts", "layout"), ("xyz", nil), ("", nil),
  ])
  func findsTheNearestWord(typed: String, expected: String?) {
    #expect(nearest(to: typed, among: ["replay", "bench", "layout"]) == expected)
  }

  @Test func helpListsWhatACommandKnowsByName() {
    var command = command
    command.topic = ("Policies", [("lru", "the oldest goes first")])
    #expect(command.help(path: "roost replay", columns: 80).contains("\nPolicies:\n  lru  the oldest goes first\n"))
  }

  @Test func helpNamesEveryOptionAndFitsItsColumns() {
    for columns in [20, 60, 80, 300] {
      let help = command.help(path: "roost replay", columns: columns)
      for option in ["--policy NAME", "--host-memory SIZE", "--verify, --no-verify", "--json", "--help", "[TRACE]"] {
        #expect(help.contains(option))
      }
      let longest = help.split(separator: "\n").map(\.count).max() ?? 0
      #expect(longest <= max(60, min(100, columns)))
    }
  }
}
