import Testing

/// What can be wrong with a trace, as the user sees it.
@Suite struct ReplayInputTests {
  private static let good = #"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,2]}"#

  private func refused(_ path: String, input: String = "") throws -> String {
    let outcome = try RoostProgram.run("replay", path, "--dry-run", "--json", input: input)
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
    return outcome.errors
  }

  @Test(arguments: [
    ("not json", "line 2: this is not a JSON object"),
    (#"{"timestamp":0}"#, "line 2: the field input_length is missing"),
    (#"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[-1]}"#, "line 2: an id in hash_ids is negative"),
    (#"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1"#, "line 2: hash_ids must be a list"),
  ])
  func namesTheLineOfABadTrace(line: String, expected: String) throws {
    let files = try TestFiles()
    let message = try refused(try files.write(ReplayInputTests.good + "\n" + line))
    #expect(message.contains("trace.jsonl, \(expected)"), "\(message)")
  }

  @Test func saysWhatToDoAboutAFileThatIsNone() throws {
    let files = try TestFiles()
    #expect(try refused(files.folder.path + "/absent").contains("there is no file"))
    #expect(try refused(files.folder.path).contains("is a directory"))
    #expect(try refused(try files.write("")).contains("has no requests"))
    #expect(try refused(try files.write("(\u{B5}/ý")).contains("line 1: this is not a JSON object"))
    #expect(try refused("-").contains("standard input has no requests"))
  }

  @Test func readsStandardInput() throws {
    let outcome = try RoostProgram.run(
      "replay", "-", "--dry-run", "--host-blocks", "2", "--json",
      input: ReplayInputTests.good + "\n" + ReplayInputTests.good)
    #expect(outcome.status == 0)
    #expect(try outcome.json()["prefix_hits"]?.int == 2)
  }

  @Test func standsOddButPossibleRequests() throws {
    let files = try TestFiles()
    let lines = ["[]", "[1,1,2,1]", "[1,1,2,1]", "[9223372036854775807,3,3]", "[4,5,6,7,8,9,10]"].map {
      #"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":\#($0)}"#
    }
    let path = try files.write(lines.joined(separator: "\n"))
    for size in ["1", "2", "16"] {
      let outcome = try RoostProgram.run("replay", path, "--host-blocks", size, "--block-bytes", "4KiB", "--json")
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try outcome.json()["verify_failures"]?.int == 0)
    }
  }
}
