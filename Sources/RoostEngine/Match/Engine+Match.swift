import RoostBlocks
import RoostPrimitives

extension Engine {
  /// Says for every key of one group whether it can be loaded now, or lies in the tier below. Holds nothing and changes no order.
  ///
  /// - Returns: the length of the leading run of ready keys.
  /// - Precondition: `states` has room for every key.
  @discardableResult public func match(
    _ keys: UnsafeBufferPointer<Key>, into states: UnsafeMutableBufferPointer<KeyState>
  ) -> Int {
    let run = state.withLock { $0.table.match(keys, into: states) }
    if let tier { markBelow(keys, states, tier) }
    return run
  }

  /// Finds how many tokens of a request can be loaded: the longest length at which every group can be.
  ///
  /// - Parameters:
  ///   - keys: the keys of all blocks, group after group, each head to tail.
  ///   - counts: how many keys each group has, in the order of the configuration; they add up to `keys.count`.
  ///   - states: gets a state for every key.
  ///   - needed: gets for every group the range of its blocks that a load of that length takes.
  /// - Returns: the length in tokens, 0 if nothing can be loaded.
  public func match(
    _ keys: UnsafeBufferPointer<Key>, counts: [Int], into states: UnsafeMutableBufferPointer<KeyState>,
    needed: UnsafeMutableBufferPointer<Range<Int>>
  ) -> Int {
    precondition(counts.count == configuration.groups.count && counts.reduce(0, +) == keys.count, "counts are off")
    match(keys, into: states)
    var start = 0
    let groups = zip(configuration.groups, counts).map { group, count in
      defer { start += count }
      return GroupReadiness(
        kind: group.kind, tokensPerBlock: group.tokensPerBlock,
        states: UnsafeBufferPointer(rebasing: states[start..<start + count]))
    }
    return groups.withUnsafeBufferPointer { GroupMatch.longest($0, needed: needed) }
  }
}
