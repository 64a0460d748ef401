import RoostLayout
import Testing

@Suite struct HeadMappingTests {
  /// Moves head numbers, not bytes: what a rank gets must be exactly the heads it holds, each once.
  @Test func everyRankGetsItsHeadsOnce() throws {
    for headCount in [1, 2, 3, 4, 6, 8, 12, 16, 48] {
      for remoteSize in 1...48 where headCount % remoteSize == 0 || remoteSize % headCount == 0 {
        for localSize in 1...48 where headCount % localSize == 0 || localSize % headCount == 0 {
          guard remoteSize % localSize == 0 || localSize % remoteSize == 0 else { continue }
          for rank in 0..<localSize { try check(headCount, remoteSize, localSize, rank) }
        }
      }
    }
  }

  private func check(_ headCount: Int, _ remoteSize: Int, _ localSize: Int, _ rank: Int) throws {
    let local = try HeadRange(total: headCount, rank: rank, size: localSize)
    var slots = Array(repeating: -1, count: local.count)
    let segments = try HeadMapping.segments(
      headCount: headCount, remoteSize: remoteSize, localSize: localSize, localRank: rank)
    for segment in segments {
      let remote = try HeadRange(total: headCount, rank: segment.remoteRank, size: remoteSize)
      for index in 0..<segment.headCount {
        #expect(segment.remoteHeadOffset + index < remote.count)
        #expect(slots[segment.localHeadSlot + index] == -1)
        slots[segment.localHeadSlot + index] = remote.start + segment.remoteHeadOffset + index
      }
    }
    #expect(slots == Array(local.start..<local.start + local.count))
  }

  @Test func refusesGroupsThatDoNotDivide() {
    for (heads, remote, local, rank) in [
      (8, 3, 2, 0), (8, 2, 4, 4), (8, 0, 4, 0), (0, 2, 2, 0), (8, 4, 2, -1), (6, 4, 2, 0),
    ] {
      #expect(throws: LayoutError.self) {
        try HeadMapping.segments(headCount: heads, remoteSize: remote, localSize: local, localRank: rank)
      }
    }
  }

  @Test func aPlanByHeadsMovesWhatTheMappingSays() throws {
    var geometry = AttentionGeometry(tokensPerBlock: 4, headCount: 8, headDim: 8, itemByteCount: 2)
    geometry.blockCount = 3
    let page = try Layout.packed(.lbhnc, geometry)
    let shard = try page.shard(.head, total: 8, rank: 3, size: 4)
    geometry.headCount = 2
    let local = try Layout.packed(.lbhnc, geometry)
    #expect(
      try Layout.plan(from: shard, to: local).pieces.triples == [[768, 0, 256], [1792, 256, 256], [2816, 512, 256]])
  }
}
