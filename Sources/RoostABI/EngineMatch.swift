import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// See roost.h.
@c @implementation public func roost_engine_match(
  _ handle: roost_engine, _ keys: UnsafePointer<roost_keys>?, _ outStates: UnsafeMutablePointer<UInt8>?,
  _ outReady: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outReady = try Arguments.required(outReady, "out_ready")
    let engine = try HandleTable.shared.engine(handle)
    let reader = try KeyReader(keys, engine)
    defer { reader.free() }
    let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: reader.keys.count)
    defer { states.deallocate() }
    outReady.pointee = UInt64(engine.match(UnsafeBufferPointer(reader.keys), into: states))
    guard let outStates else { return }
    for index in states.indices { outStates[index] = states[index].rawValue }
  }
}

/// See roost.h.
@c @implementation public func roost_engine_match_groups(
  _ handle: roost_engine, _ groups: UnsafePointer<roost_keys>?, _ groupCount: Int, _ tokensMax: UInt64,
  _ outRanges: UnsafeMutablePointer<roost_range>?, _ outTokens: UnsafeMutablePointer<UInt64>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outTokens = try Arguments.required(outTokens, "out_tokens")
    let outRanges = try Arguments.required(outRanges, "out_ranges")
    let engine = try HandleTable.shared.engine(handle)
    let expected = engine.configuration.groups.count
    guard groupCount == expected else {
      throw RoostError(.invalidInput, "the engine has \(expected) groups, not \(groupCount)")
    }
    var lists: [roost_keys] = try Arguments.structures(groups, count: groupCount, max: expected, "groups")
    for (number, group) in engine.configuration.groups.enumerated() {
      guard lists[number].group == number else {
        throw RoostError(.invalidInput, "group \(lists[number].group) stands in the place of group \(number)")
      }
      guard 0...Limits.keyCountMax ~= lists[number].count else {
        throw Arguments.tooMany("keys", lists[number].count, Limits.keyCountMax)
      }
      // What lies beyond the wanted length cannot be part of the answer.
      let needed = tokensMax / UInt64(group.tokensPerBlock)
      if UInt64(lists[number].count) > needed { lists[number].count = Int(needed) }
    }
    let reader = try KeyReader(lists, engine)
    defer { reader.free() }
    let states = UnsafeMutableBufferPointer<KeyState>.allocate(capacity: reader.keys.count)
    defer { states.deallocate() }
    let ranges = UnsafeMutableBufferPointer<Range<Int>>.allocate(capacity: groupCount)
    defer { ranges.deallocate() }
    outTokens.pointee = UInt64(
      engine.match(UnsafeBufferPointer(reader.keys), counts: lists.map(\.count), into: states, needed: ranges))
    for number in 0..<groupCount {
      outRanges[number] = roost_range(
        first: UInt64(ranges[number].lowerBound), count: UInt64(ranges[number].count))
    }
  }
}
