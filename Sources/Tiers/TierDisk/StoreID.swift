/// A random number that all files of one tier carry, so that a file which strayed in from elsewhere is noticed.
struct StoreID: Hashable, Sendable {
  var low: UInt64
  var high: UInt64

  static func random(using generator: inout some RandomNumberGenerator) -> StoreID {
    StoreID(low: generator.next(), high: generator.next())
  }
}

/// Where a slot is.
struct SlotPlace: Hashable, Sendable {
  var segment: UInt32
  var index: UInt32
}
