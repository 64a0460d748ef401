import Testing

/// What everybody meets first: help, versions, typing errors.
@Suite struct CommandLineTests {
  @Test(arguments: [
    ["--help"], ["help"], ["-h"], ["replay", "--help"], ["help", "bench"], ["bench", "-h"], ["--version"],
  ])
  func answersQuestionsOnStandardOutput(arguments: [String]) throws {
    let outcome = try RoostProgram(arguments).finish()
    #expect(outcome.status == 0)
    #expect(outcome.output.hasPrefix("roost"))
    #expect(outcome.errors.isEmpty)
  }

  @Test func helpListsEveryCommandOnce() throws {
    let help = try RoostProgram.run("--help").output
    for name in ["replay", "bench"] { #expect(help.contains("\n  \(name) ")) }
  }

  @Test func showsHelpOnStandardErrorWhenNothingWasAsked() throws {
    let outcome = try RoostProgram.run()
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.contains("Usage: roost COMMAND"))
  }

  @Test(arguments: [
    (["relpay"], "unknown command 'relpay'; did you mean 'replay'?"), (["--hlep"], "did you mean '--help'?"),
    (["replay", "--polcy", "lru"], "unknown option '--polcy'; did you mean '--policy'?"),
    (["replay", "--policy"], "--policy needs a value"),
    (["replay", "--policy", "lur"], "there is no eviction policy 'lur'"),
    (["replay", "a", "b"], "unexpected argument 'b'"), (["replay", "--seed", "x"], "--seed takes a whole number"),
    (["replay", "--host-blocks", "0"], "--host-blocks takes a whole number of at least 1"),
    (["replay", "--host-memory", "4 gigs"], "is not a size"),
    (["replay", "--host-memory", "1KiB"], "has no room for one block"),
    (["replay", "--host-memory", "1GiB", "--host-blocks", "4"], "are ways to say the same"),
    (["replay", "--host-memory", "100TiB"], "but this machine has"),
    (["replay", "--dry-run", "--host-blocks", "9000000000000000000"], "but this machine has"),
    (["replay", "--model", "lama-3.1-8b"], "did you mean 'llama-3.1-8b'?"),
    (["replay", "--block-bytes", "1"], "--block-bytes must be at least"),
    (["replay", "--device", "quantum:0"], "there is no device of the kind 'quantum'"),
    (["replay", "--fault", "corrupt"], "--fault takes corrupt=N"),
    (["replay", "--fault", "corrupt=1", "--dry-run"], "a dry run moves no bytes"),
    (["replay", "--fault", "corrupt=1", "--no-verify"], "--fault needs --verify"),
    (["bench", "nosuch"], "there is no bench 'nosuch'"),
  ])
  func refusesWhatItCannotUseInOneLine(arguments: [String], expected: String) throws {
    let outcome = try RoostProgram(arguments).finish()
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("roost: ") && outcome.errors.contains(expected), "\(outcome.errors)")
  }
}
