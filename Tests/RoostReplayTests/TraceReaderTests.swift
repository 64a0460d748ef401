import Foundation
import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct TraceReaderTests {
  private static let good = #"{"timestamp":5,"input_length":700,"output_length":9,"session":null,"hash_ids":[0,1]}"#

  private func read(_ path: String) throws(RoostError) -> [TraceRequest] {
    let reader = try TraceReader(path: path)
    var requests: [TraceRequest] = []
    var request = TraceRequest()
    while try reader.next(into: &request) { requests.append(request) }
    return requests
  }

  private func failure(_ path: String) -> RoostError? {
    do throws(RoostError) {
      _ = try read(path)
      return nil
    } catch {
      return error
    }
  }

  @Test func readsEveryFieldInAnyOrderAndIgnoresOthers() throws {
    let files = try TestFiles()
    let path = try files.write(
      TraceReaderTests.good + "\n\n"
        + #" { "hash_ids" : [ 9223372036854775807 , 3 ], "x":{"a":[1,"]}"]}, "output_length":0,"session":7,"input_length":1,"timestamp":2.75e3} "#
        + "\r\n" + #"{"timestamp":1,"input_length":0,"output_length":0,"hash_ids":[]}"#)
    let requests = try read(path)
    #expect(requests.count == 3)
    #expect(requests[0].milliseconds == 5 && requests[0].inputTokenCount == 700 && requests[0].outputTokenCount == 9)
    #expect(requests[0].session == nil && requests[0].ids == [0, 1])
    #expect(requests[1].milliseconds == 2750 && requests[1].session == 7)
    #expect(requests[1].ids == [UInt64(Int64.max), 3])
    #expect(requests[2].ids.isEmpty && requests[2].session == nil)
    #expect(try TraceReader(path: path).requestCount == 3)
  }

  @Test(arguments: [
    ("garbage", "this is not a JSON object"), ("[1]", "this is not a JSON object"),
    (#"{"timestamp":1}"#, "the field input_length is missing"),
    (#"{"timestamp":1,"input_length":1,"output_length":1}"#, "the field hash_ids is missing"),
    (
      #"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[3,-4]}"#,
      "an id in hash_ids is negative (column 65)"
    ),
    (
      #"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[1.5]}"#,
      "an id in hash_ids must be a whole number"
    ),
    (
      #"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":["1"]}"#,
      "an id in hash_ids must be a whole number"
    ),
    (
      #"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[9223372036854775808]}"#,
      "larger than 9223372036854775807"
    ),
    (#"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[99999999999999999999999]}"#, "larger than"),
    (#"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":7}"#, "hash_ids must be a list"),
    (#"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[1"#, "hash_ids must be a list"),
    (#"{"timestamp":-1,"input_length":1,"output_length":1,"hash_ids":[]}"#, "timestamp is negative"),
    (#"{"timestamp":"x","input_length":1,"output_length":1,"hash_ids":[]}"#, "timestamp must be a number"),
    (#"{"timestamp":1,"timestamp":1}"#, "the field timestamp is given twice"),
    (#"{"timestamp":1,"x":tru,"input_length":1}"#, "this is not JSON"),
    (#"{"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[]} {}"#, "something follows the object"),
  ])
  func namesTheLineAndTheFault(line: String, expected: String) throws {
    let files = try TestFiles()
    let error = try #require(failure(try files.write(TraceReaderTests.good + "\n\n" + line + "\n")))
    #expect(error.code == .invalidInput)
    #expect(error.message.contains("trace.jsonl, line 3: "))
    #expect(error.message.contains(expected), "\(error.message)")
    #expect(!error.description.contains("\n"))
  }

  @Test func refusesWhatIsNoTrace() throws {
    let files = try TestFiles()
    #expect(failure(files.folder.path + "/absent.jsonl")?.code == .notFound)
    #expect(failure(files.folder.path)?.message.contains("is a directory") == true)
    #expect(failure(try files.write(""))?.message.contains("has no requests") == true)
    #expect(failure(try files.write("\n \n"))?.message.contains("has no requests") == true)
    #expect(failure(try files.write([0x1F, 0x8B, 8, 0, 0]))?.message.contains("gunzip") == true)
    #expect(failure(try files.write([0x28, 0xB5]))?.message.contains("ends in the middle") == true)
    #expect(failure(try files.write((0..<100_000).map { _ in UInt8.random(in: 0...255) }))?.code == .invalidInput)
  }

  @Test(
    .disabled(if: ZstdProgram.isAbsent, "needs the zstd program"),
    arguments: [["-3"], ["-19", "--long=27"], ["--ultra", "-20", "--long=30"]])
  func readsWhatZstdWritesWhateverTheFileIsCalled(options: [String]) throws {
    let files = try TestFiles()
    let lines = (0..<20_000).map { number in
      #"{"timestamp":\#(number),"input_length":1,"output_length":1,"hash_ids":[\#(number),\#(number * 7)]}"#
    }
    let plain = try files.write(lines.joined(separator: "\n") + "\n")
    let packed = try ZstdProgram.run(options + ["-c", plain])
    // Two frames one after the other are one stream, too.
    let requests = try read(try files.write(packed + packed, as: "trace.txt"))
    #expect(requests.count == 40_000)
    for (index, request) in requests.enumerated() {
      let number = UInt64(index % 20_000)
      if request.ids != [number, number * 7] { Issue.record("request \(index)") }
    }
  }

  @Test(.disabled(if: ZstdProgram.isAbsent, "needs the zstd program"))
  func reportsTruncatedAndDamagedZstdAtEveryLength() throws {
    let files = try TestFiles()
    let lines = (0..<200).map { _ in TraceReaderTests.good }.joined(separator: "\n")
    let packed = try ZstdProgram.run(["-3", "-c", try files.write(lines)])
    #expect(try read(try files.write(packed, as: "whole.zst")).count == 200)
    for length in 1..<packed.count {
      let error = try #require(failure(try files.write(packed.prefix(length), as: "cut.zst")), "cut at \(length)")
      #expect(error.message.contains("ends in the middle"), "cut at \(length): \(error.message)")
    }
    // Some flips change only what the format ignores; none may crash, and most must be seen (the frame has a checksum).
    var seen = 0
    for place in 0..<packed.count {
      var damaged = packed
      damaged[place] ^= 0x10
      if let error = failure(try files.write(damaged, as: "damaged.zst")) {
        #expect(error.code == .invalidInput)
        seen += 1
      }
    }
    #expect(seen > packed.count * 9 / 10)
  }

  @Test func agreesWithTheJSONReaderOnDamagedLines() throws {
    let seed: UInt64 = 99
    var random = SplitMix64(seed: seed)
    var accepted = 0
    for _ in 0..<40_000 {
      let line = DamagedLine.make(&random)
      let expected = LineOracle.read(line)
      var request = TraceRequest()
      var isAccepted = true
      line.withUnsafeBytes { bytes in
        var parser = TraceLineParser(bytes)
        do throws(RoostError) { try parser.parse(into: &request) } catch { isAccepted = false }
      }
      accepted += isAccepted ? 1 : 0
      if (isAccepted ? request : nil) != expected {
        Issue.record("seed \(seed): \(String(decoding: line, as: UTF8.self))")
      }
    }
    #expect(accepted > 2_000 && accepted < 38_000, "the lines must be of both kinds, \(accepted) were accepted")
  }

  @Test func countsDistinctIDsAsASetDoes() {
    let seed: UInt64 = 4
    var random = SplitMix64(seed: seed)
    let set = IDSet()
    var expected: Set<UInt64> = []
    for _ in 0..<300_000 {
      let shift = UInt64.random(in: 1...63, using: &random)
      let id = random.next() >> max(shift, 1)
      if set.insert(id) != expected.insert(id).inserted { Issue.record("seed \(seed), id \(id)") }
    }
    for edge in [0, UInt64(UInt32.max) - 1, UInt64(UInt32.max), UInt64(UInt32.max) + 1, UInt64(Int64.max)] {
      #expect(set.insert(edge) == expected.insert(edge).inserted)
      #expect(!set.insert(edge))
    }
    #expect(set.count == expected.count)
  }

  @Test(
    .disabled(if: PublicTraces.areAbsent, "needs ../shared/data/traces"),
    arguments: [
      ("mooncake_conversation", 12_031, 288_500, 182_790), ("mooncake_synthetic", 3_993, 121_877, 43_924),
      ("tau_airline", 2_454, 119_038, 7_447), ("ragpulse", 7_106, 71_583, 58_708),
    ])
  func countsThePublicTracesAsTheirDescriptionDoes(name: String, requests: Int, references: Int, unique: Int) throws {
    let reader = try TraceReader(path: PublicTraces.path(name))
    #expect(reader.requestCount == requests)
    let ids = IDSet()
    var request = TraceRequest()
    var requestCount = 0
    var referenceCount = 0
    while try reader.next(into: &request) {
      requestCount += 1
      referenceCount += request.ids.count
      for id in request.ids { ids.insert(id) }
    }
    #expect(requestCount == requests && referenceCount == references && ids.count == unique)
  }
}
