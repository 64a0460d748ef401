import Foundation
import RoostPrimitives
import Testing

@Suite struct LayoutCommandTests {
  private func evaluate(_ cases: Any) throws -> [[String: Any]] {
    let run = try ProgramRun(["layout", "eval", "{input}"], input: JSONSerialization.data(withJSONObject: cases))
    #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
    return try run.objects()
  }

  private func same(_ left: Any?, _ right: Any?) -> Bool {
    (left as? NSObject)?.isEqual(right as? NSObject) ?? (right == nil)
  }

  @Test(.enabled(if: OracleFile.isPresent, "needs ../shared/data/layout"))
  func evalAnswersEveryWorkedCaseFromItsQuestionAlone() throws {
    let rows = try OracleFile.rows("layout_oracle.json")
    let questions = rows.map { row in
      var question = row.filter { ["start", "steps", "iter_axes", "src", "dst"].contains($0.key) }
      question["parts"] = (row["parts"] as? [[String: Any]])?.map { $0.filter { $0.key == "layout" } }
      return question
    }
    let answers = try evaluate(questions)
    #expect(answers.count == rows.count)
    for (row, answer) in zip(rows, answers) {
      for name in ["result", "descriptors", "runs", "triples", "strided"] where row[name] != nil {
        #expect(same(row[name], answer[name]), "\(row["id"] ?? "") \(name)")
      }
      let parts = answer["parts"] as? [[String: Any]] ?? []
      for (expected, found) in zip(row["parts"] as? [[String: Any]] ?? [], parts) {
        for (name, value) in expected { #expect(same(value, found[name]), "\(row["id"] ?? "") \(name)") }
      }
    }
  }

  @Test func evalKeepsTheOrderAndAnswersABadCaseInItsPlace() throws {
    let layout: [String: Any] = ["axes": [["tok", 6, 2]], "itemsize": 2, "offset": 0]
    let answers = try evaluate([
      ["id": "a", "start": layout, "steps": [["split", "tok", 2, "sub"], ["permute", "tok", "sub"]]],
      ["id": "b", "start": layout, "steps": [["narrow", "tok", 4, 3]]], 7,
      ["start": layout, "steps": [["fold", "tok"]]],
      ["start": layout, "steps": [["rename", "tok", "head"], ["shard", "head", 6, 1, 3]], "iter_axes": ["head"]],
      [
        "src": ["axes": [["t", 3, 8], ["t", 2, 1]], "itemsize": 1],
        "dst": ["axes": [["t", 2, 16], ["t", 3, 1]], "itemsize": 1],
      ],
      ["start": ["planes": [layout, layout], "opaque": true], "steps": [["select", "tok", 1]]],
      ["src": layout, "dst": ["axes": [["tok", 6, 1]], "itemsize": 2]], ["parts": [["layout": layout], ["layout": 3]]],
      ["start": ["axes": [["tok", 1 << 40, 4]], "itemsize": 2]], ["start": layout, "kind": "descriptors"],
      ["start": layout, "steps": [["fuse", "tok"]]], ["start": layout, "steps": [["select", "tok", 1, 2]]],
    ])
    let errors = answers.map { $0["error"] as? String ?? "" }
    #expect(answers[0]["id"] as? String == "a")
    #expect(
      same((answers[0]["result"] as? [String: Any])?["axes"], [["tok", 2, 2] as [Any], ["sub", 3, 4]]))
    #expect(answers[1]["id"] as? String == "b")
    #expect(errors[1] == "step 0: axis 'tok' has 6 steps; 3 from step 4 are not all within")
    #expect(errors[2].hasPrefix("a case is an object"))
    #expect(errors[3].hasPrefix("step 0: no operation 'fold'"))
    #expect(same(answers[4]["descriptors"], [[4, 2], [6, 2]]))
    #expect(same(answers[5]["triples"], [[0, 0, 2], [8, 2, 1], [9, 16, 1], [16, 17, 2]]))
    #expect((answers[5]["strided"] as? [Any])?.count == 3)
    #expect(errors[6] == "step 0: the page is opaque: it must not be cut or rearranged along axis 'tok'")
    #expect(errors[7].hasPrefix("the target aliases itself"))
    #expect(errors[8].hasPrefix("part 1: a layout is an object"))
    #expect(errors[9].contains("more than the 16777216 that are listed"))
    #expect(errors[10].hasPrefix("iter_axes must be"))
    #expect(errors[11].contains("value 2 of fuse"))
    #expect(errors[12].contains("select takes 2 values"))
  }

  @Test(arguments: ["", "{}", "[", "7", "[1,]", "\u{FEFF}[]"]) func evalRefusesWhatIsNoListOfCases(text: String) throws
  {
    let run = try ProgramRun(["layout", "eval", "-"], input: Data(text.utf8))
    #expect(run.status == 2 && run.output.isEmpty)
    #expect(run.errors.hasPrefix("roost: standard input: ") && run.errors.split(separator: "\n").count == 1)
  }

  @Test func showExplainsANamedLayoutAFileAndText() throws {
    let text = #"{"axes": [["block", 2, 64], ["dim", 8, 2]], "itemsize": 2, "offset": 16}"#
    let named = try ProgramRun(["layout", "show", "planar-scales:blocks=2"])
    #expect(named.output.contains("2 contiguous runs of 37,376 bytes"))
    for arguments in [["layout", "show", text], ["layout", "show", "{input}"], ["layout", "show", "-"]] {
      let run = try ProgramRun(arguments + ["--json"], input: Data(text.utf8))
      let object = try #require(try run.objects().first)
      #expect(same(object["runs"], ["count": 2, "min_bytes": 16, "max_bytes": 16]))
      #expect(object["start"] as? Int == 16 && object["end"] as? Int == 96 && object["bytes"] as? Int == 32)
    }
    for word in ["lbhcn", "lbhnc:blocks=x", "lbhnc:nothing=1", "/nonexistent", "{", "lbhnc:tokens=0"] {
      let run = try ProgramRun(["layout", "show", word])
      #expect(run.status == 2 && run.output.isEmpty, "\(word)")
      #expect(run.errors.hasPrefix("roost: ") && run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    }
  }
}
