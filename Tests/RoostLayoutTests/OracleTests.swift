import RoostLayout
import RoostPrimitives
import Testing

@Suite(.enabled(if: OracleFile.isPresent, "needs ../shared/data/layout"))
struct OracleTests {
  @Test func agreesWithEveryWorkedCase() throws {
    var agreed = 0
    for row in try OracleFile.rows("layout_oracle.json") {
      let id = row["id"] as? String ?? "?"
      switch row["kind"] as? String {
      case "descriptors", "runs": try checkLayout(row, id)
      case "plan": try checkPlan(row, id)
      case "multi":
        for part in row["parts"] as? [[String: Any]] ?? [] {
          let layout = try Layout(oracle: part["layout"])
          if let expected = part["descriptors"] as? [[Int]] {
            #expect(try layout.descriptors(iterating: ["block"]).pairs == expected, "\(id)")
          }
          if let expected = part["runs"] as? [[Int]] { #expect(try layout.runs().pairs == expected, "\(id)") }
        }
      default: Issue.record("unknown kind in \(id)")
      }
      agreed += 1
    }
    #expect(agreed == 32)
  }

  private func checkLayout(_ row: [String: Any], _ id: String) throws {
    let layout = try Layout(oracle: row["start"]).applying(steps: row["steps"])
    #expect(try layout == Layout(oracle: row["result"]), "\(id)")
    #expect(try layout.runs().pairs == row["runs"] as? [[Int]], "\(id)")
    if let expected = row["descriptors"] as? [[Int]] {
      let names = (row["iter_axes"] as? [String] ?? []).map { AxisName($0) }
      #expect(try layout.descriptors(iterating: names).pairs == expected, "\(id)")
      #expect(try layout.descriptors(iterating: names).count == expected.count, "\(id)")
    }
    let expected = row["strided"] as? [String: Any] ?? [:]
    let strided = layout.strided()
    #expect(strided.count == 1, "\(id)")
    #expect(strided[0].offset == expected["offset"] as? Int, "\(id)")
    #expect(strided[0].run == expected["run"] as? Int, "\(id)")
    #expect(strided[0].loops.map { [$0.count, $0.strideBytes] } == expected["loops"] as? [[Int]], "\(id)")
  }

  private func checkPlan(_ row: [String: Any], _ id: String) throws {
    let plan = try Layout.plan(from: Layout(oracle: row["src"]), to: Layout(oracle: row["dst"]))
    #expect(plan.pieces.triples == row["triples"] as? [[Int]], "\(id)")
    let expected = row["strided"] as? [String: Any] ?? [:]
    #expect(plan.parts.count == 1, "\(id)")
    let part = plan.parts[0]
    #expect(part.sourceOffset == expected["src"] as? Int, "\(id)")
    #expect(part.targetOffset == expected["dst"] as? Int, "\(id)")
    #expect(part.run == expected["run"] as? Int, "\(id)")
    let loops = part.loops.map { [$0.count, $0.sourceStride, $0.targetStride] }
    #expect(loops == expected["loops"] as? [[Int]], "\(id)")
  }

  @Test func agreesWithEveryTensorParallelRow() throws {
    let rows = try OracleFile.rows("layout_tp_oracle.json")
    for row in rows {
      func number(_ name: String) -> Int { row[name] as? Int ?? -1 }
      let local = try HeadRange(total: number("K"), rank: number("d_rank"), size: number("D_TP"))
      #expect([local.start, local.count] == row["d_heads"] as? [Int], "\(row)")
      let segments = try HeadMapping.segments(
        headCount: number("K"), remoteSize: number("P_TP"), localSize: number("D_TP"), localRank: number("d_rank"))
      let found = segments.map { [$0.remoteRank, $0.remoteHeadOffset, $0.localHeadSlot, $0.headCount] }
      #expect(found == row["segments"] as? [[Int]], "\(row)")
    }
    #expect(rows.count == 324)
  }
}
