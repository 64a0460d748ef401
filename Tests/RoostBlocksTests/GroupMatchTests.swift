import RoostPrimitives
import Testing

@testable import RoostBlocks

@Suite struct GroupMatchTests {
  struct Group {
    var kind: GroupKind
    var tokensPerBlock: Int
    var states: [KeyState]

    /// By definition: every token that the group looks back at lies in a ready block.
    func isLoadable(at length: Int) -> Bool {
      guard length % tokensPerBlock == 0, length <= states.count * tokensPerBlock else { return false }
      let tokens: Range<Int> =
        switch kind {
        case .full: 0..<length
        case .window(let window): max(0, length - window)..<length
        case .state: max(0, length - 1)..<length
        }
      return tokens.allSatisfy { states[$0 / tokensPerBlock] == .ready }
    }
  }

  static func longest(_ groups: [Group]) -> (length: Int, needed: [Range<Int>]) {
    let buffers = groups.map { group in
      let copy = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: group.states.count)
      _ = copy.initialize(from: group.states)
      return copy
    }
    defer { for buffer in buffers { buffer.deallocate() } }
    let readiness = zip(groups, buffers).map { group, states in
      GroupReadiness(kind: group.kind, tokensPerBlock: group.tokensPerBlock, states: UnsafeBufferPointer(states))
    }
    var needed = [Range<Int>](repeating: 0..<0, count: groups.count)
    let length = readiness.withUnsafeBufferPointer { readiness in
      needed.withUnsafeMutableBufferPointer { GroupMatch.longest(readiness, needed: $0) }
    }
    return (length, needed)
  }

  @Test func agreesWithTryingEveryLength() throws {
    let seed: UInt64 = 20
    var random = SplitMix64(seed: seed)
    for round in 0..<3000 {
      let tokens = Int.random(in: 0...96, using: &random)
      let density = Double.random(in: 0.5...1, using: &random)
      let groups = (0..<Int.random(in: 1...4, using: &random)).map { _ -> Group in
        let block = [1, 2, 3, 4, 8].randomElement(using: &random)!
        let kinds: [GroupKind] = [.full, .window(tokens: Int.random(in: 0...20, using: &random)), .state]
        let states = (0..<(tokens / block)).map { _ -> KeyState in
          if Double.random(in: 0..<1, using: &random) < density { return .ready }
          return [.absent, .pending, .below].randomElement(using: &random)!
        }
        return Group(kind: kinds.randomElement(using: &random)!, tokensPerBlock: block, states: states)
      }
      let result = GroupMatchTests.longest(groups)
      let expected = (0...tokens).last { length in groups.allSatisfy { $0.isLoadable(at: length) } } ?? 0
      try #require(result.length == expected, "seed \(seed), round \(round): \(groups)")
      for (group, range) in zip(groups, result.needed) {
        var lookedAt = Set<Int>()
        for token in 0..<result.length where Self.needs(group.kind, token, at: result.length) {
          lookedAt.insert(token / group.tokensPerBlock)
        }
        try #require(Set(range) == lookedAt, "seed \(seed), round \(round): \(group)")
      }
    }
  }

  @Test func aWindowLoadsOnlyItsEndAndAStateOnlyItsBoundary() {
    let ready = [KeyState](repeating: .ready, count: 10)
    var holed = ready
    holed[2] = .absent
    let result = GroupMatchTests.longest([
      Group(kind: .full, tokensPerBlock: 16, states: ready),
      Group(kind: .window(tokens: 40), tokensPerBlock: 16, states: holed),
      Group(kind: .state, tokensPerBlock: 32, states: Array(ready.prefix(5))),
    ])
    #expect(result.length == 160)
    #expect(result.needed == [0..<10, 7..<10, 4..<5])
  }

  @Test func lengthsThatNoRequestReachesAreNoOverflow() {
    let group = Group(kind: .full, tokensPerBlock: Int.max, states: [])
    let other = Group(kind: .full, tokensPerBlock: Int.max - 1, states: [])
    #expect(GroupMatchTests.longest([group, other]).length == 0)
  }

  @Test func aBitMaskSaysWhatIsReady() {
    let states: [KeyState] = (0..<130).map { $0 % 3 == 0 ? .ready : $0 % 3 == 1 ? .pending : .absent }
    var mask = [UInt64](repeating: .max, count: 3)
    states.withUnsafeBufferPointer { states in
      mask.withUnsafeMutableBufferPointer { KeyState.pack(states, into: $0) }
    }
    for position in 0..<192 {
      #expect((mask[position / 64] >> UInt64(position % 64) & 1 == 1) == (position < 130 && position % 3 == 0))
    }
  }

  private static func needs(_ kind: GroupKind, _ token: Int, at length: Int) -> Bool {
    switch kind {
    case .full: true
    case .window(let window): token >= length - window
    case .state: token == length - 1
    }
  }
}
