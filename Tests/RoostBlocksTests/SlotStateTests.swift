import Testing

@testable import RoostBlocks

@Suite struct SlotStateTests {
  /// Every state with every event that may happen in it, written down from the design; all else must be refused.
  static let expected: [SlotState: [SlotEvent: SlotState]] = [
    .free: [.admit: .writing, .adopt: .ready],
    .writing: [.publish: .ready, .abort: .free, .abortUnderCopy: .reclaiming, .retire: .retiring],
    .ready: [.lease: .leased, .evict: .free, .retire: .free],
    .leased: [.lease: .leased, .release: .leased, .releaseLast: .ready, .retire: .retiring],
    .retiring: [
      .release: .retiring, .releaseLast: .free, .publish: .free, .abort: .free, .abortUnderCopy: .reclaiming,
    ],
    .reclaiming: [.drain: .free],
  ]

  @Test(arguments: SlotState.allCases)
  func everyEventInEveryStateDoesWhatIsWrittenDown(state: SlotState) {
    for event in SlotEvent.allCases {
      #expect(state.after(event) == SlotStateTests.expected[state]?[event], "\(event) in \(state)")
    }
  }

  @Test func aKeyIsFoundOnlyWhereAPageIsOrWillBe() {
    #expect(SlotState.allCases.filter(\.isFindable) == [.writing, .ready, .leased])
    #expect(SlotState.allCases.filter(\.isLoadable) == [.ready, .leased])
  }

  @Test func onlyAnUnheldPublishedSlotCanBeEvicted() {
    #expect(SlotState.allCases.filter { $0.after(.evict) != nil } == [.ready])
  }

  @Test func everyStateLeadsBackToFree() {
    for start in SlotState.allCases {
      var reached: Set<SlotState> = [start]
      while true {
        let next = reached.union(reached.flatMap { state in SlotEvent.allCases.compactMap { state.after($0) } })
        if next == reached { break }
        reached = next
      }
      #expect(reached.contains(.free), "from \(start)")
    }
  }
}
