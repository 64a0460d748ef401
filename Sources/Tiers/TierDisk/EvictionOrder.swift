import RoostPrimitives

/// Decides which pages of one slot size stay, in place of the order of use that `PageTable` keeps itself.
///
/// It knows the slots that are free and those that hold a page, being written or live, and nothing else: a slot whose page
/// is on its way out, or that was set aside, is removed, and added again once it is free. It says which slot a page goes
/// to, and which pages go for it. Slots have numbers of their own, dense within the size.
///
/// Called batch by batch under the tier's lock: must not block. Not thread-safe.
public protocol EvictionOrder: AnyObject {
  /// There are more slots, free but for those of `pages`, of which the one written longest ago stands first.
  func add(_ slots: [UInt32], holding pages: [OrderedPage])

  /// These slots are not there any more, nor what is in them, held or not.
  func remove(_ slots: Range<UInt32>)

  /// Pages of a batch are to be written, head to tail, none of them there yet. The slots that are given are held.
  func place(_ keys: [Key], at nanoseconds: UInt64) -> OrderAnswer

  /// Pages that are there were asked for by a batch, head to tail.
  ///
  /// - Returns: slots whose pages go.
  func use(_ keys: [Key], at nanoseconds: UInt64) -> [UInt32]

  /// The page in a slot must not go until `release`; calls are counted.
  func hold(_ slot: UInt32)

  /// Ends a `hold`.
  func release(_ slot: UInt32)

  /// Nothing of an identity may be remembered. Its pages have been removed, but for those that are held.
  func forget(_ identity: IdentityID)
}

/// A page that was there before its order was made.
public struct OrderedPage: Sendable {
  /// Which page.
  public let key: Key
  /// Where.
  public let slot: UInt32

  /// Puts them together.
  public init(key: Key, slot: UInt32) {
    self.key = key
    self.slot = slot
  }
}

/// What an order says to a batch that is to be written.
public struct OrderAnswer: Sendable {
  /// What it says to one page.
  public enum Placing: Sendable {
    /// Goes to this slot; if a page is in it, that one goes.
    case slot(UInt32)
    /// Stands in the batch twice.
    case held
    /// Is not worth what would have to go, or nothing can go.
    case refused
  }

  /// One a page.
  public let placings: [Placing]
  /// Slots whose pages go and that stay free.
  public let evicted: [UInt32]

  /// Puts them together.
  public init(placings: [Placing], evicted: [UInt32]) {
    self.placings = placings
    self.evicted = evicted
  }
}

/// A kind of order, by its name in a tier's address.
public struct EvictionOrderKind: Sendable {
  /// The name.
  public let name: String
  /// Makes the order of one slot size, for slot numbers below the given count.
  public let make: @Sendable (_ slotCountMax: Int) throws(RoostError) -> any EvictionOrder

  /// Names a kind of order.
  public init(
    name: String, make: @escaping @Sendable (_ slotCountMax: Int) throws(RoostError) -> any EvictionOrder
  ) {
    self.name = name
    self.make = make
  }
}
