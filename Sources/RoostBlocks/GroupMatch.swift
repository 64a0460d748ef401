/// What a group needs in order to continue at some length: depends on the kind of attention of its layers.
public enum GroupKind: Hashable, Sendable {
  /// Every block from the head.
  case full
  /// The blocks that hold the last so many tokens (all, if there are fewer). An engine whose window counts the token
  /// to be computed gives one less.
  case window(tokens: Int)
  /// The state at the boundary alone: the one block that ends there.
  case state
}

/// What of one group's blocks could be loaded, head to tail.
public struct GroupReadiness {
  /// What the group needs.
  public var kind: GroupKind
  /// The length of one block.
  public var tokensPerBlock: Int
  /// A state for each block of the request.
  public var states: UnsafeBufferPointer<KeyState>

  /// Describes a group; `states` must outlive it.
  public init(kind: GroupKind, tokensPerBlock: Int, states: UnsafeBufferPointer<KeyState>) {
    self.kind = kind
    self.tokensPerBlock = tokensPerBlock
    self.states = states
  }
}

/// Finds how much of a request can be loaded when its model has several groups of layers.
public enum GroupMatch {
  /// The longest length, in tokens, at which every group can be loaded, and the blocks that each group needs for it.
  ///
  /// A length is a multiple of every group's block, because what is stored is whole blocks. Only `ready` counts as
  /// loadable. Pure. Groups take turns in shortening the length, and remember which blocks they have found ready, so that a block
  /// is looked at about once.
  ///
  /// - Parameters:
  ///   - groups: at least one; every `tokensPerBlock` is positive.
  ///   - needed: gets the range of block indices for each group, empty for length 0.
  /// - Returns: the length in tokens, 0 if nothing can be loaded.
  public static func longest(
    _ groups: UnsafeBufferPointer<GroupReadiness>, needed: UnsafeMutableBufferPointer<Range<Int>>
  ) -> Int {
    precondition(!groups.isEmpty && needed.count >= groups.count, "there must be a range for every group")
    guard let step = commonBlock(groups) else { return finish(groups, at: 0, needed) }
    var length = groups.map { $0.states.count * $0.tokensPerBlock }.min() ?? 0
    length -= length % step
    for position in groups.indices { needed.initializeElement(at: position, to: 0..<0) }
    var position = 0
    var agreed = 0
    // Round and round until all groups agree on one length. Every disagreement makes it shorter.
    while length > 0, agreed < groups.count {
      let possible = shorten(groups[position], to: length, known: &needed[position])
      if possible < length {
        length = possible - possible % step
        agreed = 0
      } else {
        agreed += 1
      }
      position = position + 1 == groups.count ? 0 : position + 1
    }
    return finish(groups, at: length, needed)
  }

  /// The blocks that a group needs at a length that is a multiple of its block.
  public static func neededBlocks(_ kind: GroupKind, tokensPerBlock: Int, length: Int) -> Range<Int> {
    let end = length / tokensPerBlock
    switch kind {
    case .full: return 0..<end
    case .window(let tokens): return min(end, max(0, length - max(0, tokens)) / tokensPerBlock)..<end
    case .state: return max(0, end - 1)..<end
    }
  }

  /// The longest length up to `length` that this group does not rule out at once: `length` itself if the group can be
  /// loaded there, else the start of the missing block that it found.
  ///
  /// - Parameter known: blocks known to be loadable, so that no block is looked at twice.
  private static func shorten(_ group: GroupReadiness, to length: Int, known: inout Range<Int>) -> Int {
    let range = neededBlocks(group.kind, tokensPerBlock: group.tokensPerBlock, length: length)
    if group.kind == .full {
      // From the head, because the first missing block decides.
      var end = known.upperBound
      while end < range.upperBound, group.states[end] == .ready { end += 1 }
      known = 0..<end
      return end < range.upperBound ? end * group.tokensPerBlock : length
    }
    // From the tail, because the last missing block decides. What is known ends at an earlier, longer length.
    var start = known.contains(range.upperBound - 1) ? known.lowerBound : range.upperBound
    while start > range.lowerBound, group.states[start - 1] == .ready { start -= 1 }
    known = start..<range.upperBound
    return start > range.lowerBound ? (start - 1) * group.tokensPerBlock : length
  }

  /// The least common multiple of all block lengths, nil if it is beyond any length.
  private static func commonBlock(_ groups: UnsafeBufferPointer<GroupReadiness>) -> Int? {
    var result = 1
    for group in groups {
      precondition(group.tokensPerBlock > 0, "a block has tokens")
      let (product, overflow) = (result / divisor(result, group.tokensPerBlock))
        .multipliedReportingOverflow(by: group.tokensPerBlock)
      if overflow { return nil }
      result = product
    }
    return result
  }

  private static func divisor(_ left: Int, _ right: Int) -> Int {
    var (left, right) = (left, right)
    while right != 0 { (left, right) = (right, left % right) }
    return left
  }

  private static func finish(
    _ groups: UnsafeBufferPointer<GroupReadiness>, at length: Int, _ needed: UnsafeMutableBufferPointer<Range<Int>>
  ) -> Int {
    for position in groups.indices {
      let group = groups[position]
      let range = neededBlocks(group.kind, tokensPerBlock: group.tokensPerBlock, length: length)
      needed.initializeElement(at: position, to: range)
    }
    return length
  }
}
