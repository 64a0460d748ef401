import RoostPrimitives

/// Counts distinct ids in little memory: 4.4 to 7 bytes for each below 2^32, twice that for larger ones.
///
/// Open addressing in parts, each of which grows on its own: at any time only one part has its old and its new copy.
/// Not thread-safe.
final class IDSet {
  /// How many different ids were inserted.
  private(set) var count = 0
  private var small: [IDSetPart<UInt32>]
  private var large: [IDSetPart<UInt64>]

  init() {
    small = (0..<Limits.idSetPartCount).map { _ in IDSetPart() }
    large = (0..<Limits.idSetPartCount).map { _ in IDSetPart() }
  }

  deinit {
    for part in small { part.release() }
    for part in large { part.release() }
  }

  /// Inserts an id; whether it was new.
  ///
  /// - Precondition: `id` is at most `Int64.max`; all ones mark empty places.
  @discardableResult func insert(_ id: UInt64) -> Bool {
    let hash = SplitMix64.mix(id)
    // The lowest bits choose the part, the highest the place in it.
    let part = Int(truncatingIfNeeded: hash & UInt64(Limits.idSetPartCount - 1))
    let isNew =
      id < UInt64(UInt32.max) ? small[part].insert(UInt32(id), hash: hash) : large[part].insert(id, hash: hash)
    if isNew { count += 1 }
    return isNew
  }
}

/// A part of the set: a table that grows by half when it is nine tenths full.
private struct IDSetPart<Word: FixedWidthInteger & UnsignedInteger> {
  private var places: UnsafeMutableBufferPointer<Word> = .init(start: nil, count: 0)
  private var count = 0

  func release() { places.deallocate() }

  mutating func insert(_ id: Word, hash: UInt64) -> Bool {
    if (count + 1) * 10 > places.count * 9 { grow() }
    guard place(id, hash: hash) else { return false }
    count += 1
    return true
  }

  private func place(_ id: Word, hash: UInt64) -> Bool {
    // Any capacity, not only powers of two: the high half of the product is uniform over 0..<count.
    var index = Int(hash.multipliedFullWidth(by: UInt64(places.count)).high)
    while true {
      if places[index] == id { return false }
      if places[index] == .max {
        places[index] = id
        return true
      }
      index = index + 1 == places.count ? 0 : index + 1
    }
  }

  private mutating func grow() {
    let old = places
    let capacity = max(Limits.idSetPartCapacityMin, old.count + old.count / 2)
    places = .allocate(capacity: capacity)
    places.initialize(repeating: .max)
    for id in old where id != .max { _ = place(id, hash: SplitMix64.mix(UInt64(id))) }
    old.deallocate()
  }
}
