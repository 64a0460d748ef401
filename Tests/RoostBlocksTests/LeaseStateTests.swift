import Testing

@testable import RoostBlocks

/// All reachable states of small leases (2 shards, 2 attachments), each with every event, checked against rules about
/// whole histories instead of another transition table.
@Suite struct LeaseStateTests {
  static let events: [LeaseState.Event] =
    [.cancel] + [0, 1].flatMap { [.shardArrived($0), .copiesBegan($0), .copiesEnded($0), .attachmentGone($0)] }

  static func reachable(_ kind: LeaseKind) -> Set<LeaseState> {
    var all: Set = [LeaseState(kind: kind, shardCount: kind == .store ? 2 : 0)]
    var open = Array(all)
    while let state = open.popLast() {
      for event in events {
        var next = state
        _ = next.handle(event)
        if all.insert(next).inserted { open.append(next) }
      }
    }
    return all
  }

  @Test(arguments: LeaseKind.allCases)
  func everyEventInEveryStateKeepsTheRules(kind: LeaseKind) {
    let states = LeaseStateTests.reachable(kind)
    #expect(states.count == (kind == .store ? 31 : 8))
    for before in states {
      for event in LeaseStateTests.events {
        var after = before
        let action = after.handle(event)
        let what = Comment(rawValue: "\(event) in \(before) gave \(action)")
        #expect((after.phase == .ended) == (before.phase == .ended || action.ends), what)
        if action == .ignore { #expect(after == before, what) }
        if action.ends { #expect(after.copying == 0, what) }
        if action == .publish { #expect(after.missingShards == 0 && before.phase != .draining, what) }
        if action == .abort || action == .hold { #expect(kind == .store && before.phase != .draining, what) }
        if action == .drain { #expect(kind == .store && before.phase == .draining, what) }
        if action == .release { #expect(kind == .load, what) }
        if before.phase == .draining { #expect(after.phase != .open && action != .publish, what) }
        #expect(after.missingShards & ~before.missingShards == 0, what)
      }
    }
  }

  @Test func aHalfWrittenPageIsNeverPublished() {
    // Whenever an attachment dies while it copies, no continuation of any length publishes.
    for state in LeaseStateTests.reachable(.store) where state.copying != 0 && state.phase != .ended {
      var dead = state
      let attachment = state.copying & 1 != 0 ? 0 : 1
      _ = dead.handle(.attachmentGone(attachment))
      for first in LeaseStateTests.events {
        for second in LeaseStateTests.events {
          for third in LeaseStateTests.events {
            var continued = dead
            for event in [first, second, third] { #expect(continued.handle(event) != .publish) }
          }
        }
      }
    }
  }

  @Test func aStoreIsPublishedByItsLastShardAndItsLastFence() {
    var lease = LeaseState(kind: .store, shardCount: 2)
    #expect(lease.handle(.copiesBegan(7)) == .none)
    #expect(lease.handle(.shardArrived(1)) == .none)
    #expect(lease.handle(.shardArrived(1)) == .ignore)
    #expect(lease.handle(.shardArrived(2)) == .ignore)
    #expect(lease.handle(.shardArrived(-1)) == .ignore)
    #expect(lease.handle(.shardArrived(0)) == .none)
    #expect(lease.handle(.copiesBegan(3)) == .ignore)
    #expect(lease.handle(.copiesEnded(7)) == .publish)
    #expect(lease.handle(.cancel) == .ignore)
  }

  @Test func numbersBeyondTheMaskAreIgnored() {
    var lease = LeaseState(kind: .store, shardCount: 64)
    for number in [-1, 64, Int.max, Int.min] {
      #expect(lease.handle(.shardArrived(number)) == .ignore)
      #expect(lease.handle(.copiesBegan(number)) == .ignore)
      #expect(lease.handle(.copiesEnded(number)) == .ignore)
      #expect(lease.handle(.attachmentGone(number)) == .none)
    }
    #expect(lease.missingShards == .max && lease.copying == 0)
  }
}

extension LeaseState.Action {
  fileprivate var ends: Bool { [.publish, .abort, .drain, .release].contains(self) }
}
