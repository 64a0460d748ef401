import Foundation
import RoostPrimitives
import Testing

/// Whatever a file says, the program answers it or refuses it in one line.
@Suite struct LayoutFuzzTests {
  private static let healthy = """
    [{"id": "a", "start": {"axes": [["block", 3, 512], ["kv", 2, 256], ["head", 4, 64], ["token", 4, 16], ["dim", 8, 2]],
      "itemsize": 2, "offset": 0}, "steps": [["narrow", "head", 2, 2], ["select", "kv", 1]], "iter_axes": ["block"]},
     {"src": {"axes": [["tok", 3, 128], ["tok", 4, 32], ["head", 2, 512], ["content", 16, 2]], "itemsize": 2, "offset": 8},
      "dst": {"axes": [["tok", 2, 512], ["tok", 6, 32], ["head", 2, 256], ["content", 16, 2]], "itemsize": 2, "offset": 0}},
     {"parts": [{"layout": {"axes": [["block", 2, 200], ["x", 4, 6], ["row", 3, 2]], "itemsize": 2, "offset": 24}}]},
     {"start": {"planes": [{"axes": [["block", 2, 99], ["token", 6, 9], ["byte", 8, 1]], "itemsize": 1, "offset": 0},
      {"axes": [["block", 2, 99], ["token", 6, 2]], "itemsize": 1, "offset": 54}], "opaque": false},
      "steps": [["split", "token", 3, "sub"], ["permute", "sub", "token", "block", "byte"], ["rename", "sub", "token"]]},
     {"start": {"axes": [["head", 8, 2], ["dim", 2, 1]], "itemsize": 1, "offset": 4},
      "steps": [["shard", "head", 8, 3, 4], ["fuse", "head", "dim", "row"]], "iter_axes": []}]
    """

  /// Numbers that break arithmetic, and small ones that make another layout of it.
  private static var oddities: [Any] {
    [
      -1, 0, 1, 2, 3, 5, 7, 12, 24, 255, 4096, 1 << 31, 1 << 59, 1 << 60, (1 << 60) + 1, 1 << 62, Int.max, Int.max - 1,
      Int.min, 0.5, -0.0, 1e300, "token", "block", "head", "tok", "", "\u{0}\n\"", "é", true, false, NSNull(), [Any](),
      [String: Any](), ["axes": [["a", 2, 1]], "itemsize": 1] as [String: Any], ["narrow", "head", 1, 1] as [Any],
    ]
  }

  private static func mutated(_ value: Any, _ random: inout SplitMix64) -> Any {
    if Int.random(in: 0..<9, using: &random) == 0 {
      return oddities.randomElement(using: &random) ?? value
    }
    if var list = value as? [Any], !list.isEmpty {
      let index = Int.random(in: 0..<list.count, using: &random)
      switch Int.random(in: 0..<12, using: &random) {
      case 0: list.remove(at: index)
      case 1: list.insert(list[index], at: index)
      case 2: list.shuffle(using: &random)
      default: list[index] = mutated(list[index], &random)
      }
      return list
    }
    if var object = value as? [String: Any], let key = object.keys.sorted().randomElement(using: &random) {
      object[key] = Int.random(in: 0..<20, using: &random) == 0 ? nil : mutated(object[key] ?? 0, &random)
      return object
    }
    return value
  }

  @Test func everyMutatedCaseIsAnsweredInItsPlace() throws {
    let seed: UInt64 = 0x10F5
    var random = SplitMix64(seed: seed)
    let cases = try #require(try JSONSerialization.jsonObject(with: Data(Self.healthy.utf8)) as? [Any])
    var mutants: [Any] = []
    for _ in 0..<4_000 {
      var mutant = cases.randomElement(using: &random) ?? 0
      for _ in 0...Int.random(in: 0..<3, using: &random) { mutant = Self.mutated(mutant, &random) }
      mutants.append(mutant)
    }
    let input = try JSONSerialization.data(withJSONObject: mutants, options: .fragmentsAllowed)
    let run = try ProgramRun(["layout", "eval", "-"], input: input)
    #expect(!run.crashed && run.status == 0, "seed \(seed): \(run.errors.suffix(400))")
    let answers = try run.objects()
    #expect(answers.count == mutants.count, "seed \(seed)")
    let failed = answers.count { $0["error"] is String }
    #expect(failed > 1_000 && failed < 3_500, "both kinds occur: \(failed)")
    #expect(
      answers.allSatisfy { $0["error"] is String || $0["result"] != nil || $0["triples"] != nil || $0["parts"] != nil })
  }

  @Test func damagedFilesAreRefusedInOneLine() throws {
    let seed: UInt64 = 0x10F6
    var random = SplitMix64(seed: seed)
    for round in 0..<60 {
      var bytes = Array(Self.healthy.utf8)
      for _ in 0...Int.random(in: 0..<3, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        case 2: bytes.removeSubrange(index...)
        default: bytes.insert(bytes.randomElement(using: &random) ?? 0, at: index)
        }
        if bytes.isEmpty { break }
      }
      let run = try ProgramRun(["layout", "eval", "{input}"], input: Data(bytes))
      #expect(
        !run.crashed && (run.status == 0 || run.status == 2), "seed \(seed) round \(round): \(run.errors.suffix(400))")
      let lines = run.errors.split(separator: "\n").count
      #expect(lines == (run.status == 2 ? 1 : 0), "seed \(seed) round \(round): \(run.errors)")
    }
  }
}
