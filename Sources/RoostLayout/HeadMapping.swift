/// Which heads a rank of a tensor-parallel group holds.
///
/// With `size` ranks for `total` heads, rank `r` starts at head `r * total / size` rounded down, and holds
/// `total / size` heads, or one where there are more ranks than heads (neighbouring ranks then hold replicas).
public struct HeadRange: Hashable, Sendable {
  /// The first head.
  public let start: Int
  /// How many heads.
  public let count: Int

  /// The heads of rank `rank` of `size`; throws `shardInvalid` unless one of `total` and `size` divides the other.
  /// `axis` is what the error names.
  public init(_ axis: AxisName = .head, total: Int, rank: Int, size: Int) throws(LayoutError) {
    guard total >= 1, size >= 1, rank >= 0, rank < size, total % size == 0 || size % total == 0 else {
      throw .shardInvalid(axis, total: total, rank: rank, size: size)
    }
    let isReplicated = size > total
    start = isReplicated ? rank / (size / total) : rank * (total / size)
    count = isReplicated ? 1 : total / size
  }
}

/// Consecutive heads that one remote rank has for a local rank.
public struct HeadSegment: Hashable, Sendable {
  /// The rank that has them.
  public let remoteRank: Int
  /// The first of them, counted within what the remote rank holds.
  public let remoteHeadOffset: Int
  /// Where they go, counted within what the local rank holds.
  public let localHeadSlot: Int
  /// How many.
  public let headCount: Int
}

/// Where a rank gets its heads from when the other side has another tensor-parallel size.
///
/// The rule is vLLM's NIXL connector's. Where the local group is at least as large, one remote rank has it all:
/// `localRank * remoteSize / localSize` rounded down, which spreads ranks over replicas. Otherwise the
/// `remoteSize / localSize` ranks over the local one are asked, of replicas only the first.
public enum HeadMapping {
  /// The segments that local rank `localRank` of `localSize` takes from a group of `remoteSize`, in order of heads.
  ///
  /// One group size must divide the other, and `headCount` and each size must divide one or the other.
  public static func segments(
    headCount: Int, remoteSize: Int, localSize: Int, localRank: Int
  ) throws(LayoutError) -> [HeadSegment] {
    let local = try HeadRange(total: headCount, rank: localRank, size: localSize)
    guard remoteSize >= 1, remoteSize % localSize == 0 || localSize % remoteSize == 0 else {
      throw .shardInvalid(.head, total: localSize, rank: localRank, size: remoteSize)
    }
    if localSize >= remoteSize {
      let rank = localRank / (localSize / remoteSize)
      let remote = try HeadRange(total: headCount, rank: rank, size: remoteSize)
      let offset = local.start - remote.start
      return [HeadSegment(remoteRank: rank, remoteHeadOffset: offset, localHeadSlot: 0, headCount: local.count)]
    }
    let rankCount = remoteSize / localSize
    var segments: [HeadSegment] = []
    var next = local.start
    for rank in localRank * rankCount..<(localRank + 1) * rankCount where next < local.start + local.count {
      let remote = try HeadRange(total: headCount, rank: rank, size: remoteSize)
      guard remote.start == next else { continue }  // a replica of what another rank gave
      segments.append(
        HeadSegment(
          remoteRank: rank, remoteHeadOffset: 0, localHeadSlot: next - local.start, headCount: remote.count))
      next += remote.count
    }
    return segments
  }
}
