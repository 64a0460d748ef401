import RoostPrimitives

/// Slot sizes where an `EvictionOrder` decides. The table's own order is kept all the same: it costs nothing, and which
/// segment goes to another size follows from it.
extension PageTable {
  /// Lets orders of this kind decide from now on; they learn what is there, the page written longest ago first.
  func decide(by kind: EvictionOrderKind) {
    orderKind = kind
    for (slotByteCount, size) in classes where size.segmentCount > 0 {
      var pages: [OrderedPage] = []
      pages.reserveCapacity(size.used.count)
      var next = size.used.oldest
      while next != 0 {
        pages.append(OrderedPage(key: records[Int(next - 1)].key, slot: orderNumber(of: next - 1)))
        next = records[Int(next - 1)].newer
      }
      let numbers = segments.indices.filter { segments[$0].slotByteCount == slotByteCount }
      add(numbers.flatMap { orderedSlots(of: $0) }, holding: pages, to: slotByteCount)
    }
  }

  /// The order that a slot belongs to.
  func order(around record: UInt32) -> (any EvictionOrder)? {
    orderKind == nil ? nil : orders[slotByteCount(of: record)]
  }

  /// The number of a slot within its size: as segments of one size have equally many slots, it follows from the place.
  func orderNumber(of record: UInt32) -> UInt32 {
    let place = place(of: record)
    return place.segment * UInt32(segments[Int(place.segment)].slotCount) + place.index
  }

  private func record(_ number: UInt32, _ slotByteCount: Int) -> UInt32 {
    let count = UInt32(SegmentHeader.slotCount(slotByteCount, segmentByteCount: segmentByteCount))
    return record(at: SlotPlace(segment: number / count, index: number % count))
  }

  /// Tells the order of a segment's size of its slots, which are all new to it.
  func addToOrder(segment number: Int) {
    guard orderKind != nil else { return }
    add(orderedSlots(of: number), holding: [], to: segments[number].slotByteCount)
  }

  /// Tells the order of a slot that is free again.
  func addToOrder(_ record: UInt32) { order(around: record)?.add([orderNumber(of: record)], holding: []) }

  /// Takes a slot out of its order, with its page.
  func removeFromOrder(_ record: UInt32) {
    guard let order = order(around: record) else { return }
    let number = orderNumber(of: record)
    order.remove(number..<(number + 1))
  }

  /// Takes all slots of a segment out of their order.
  func removeFromOrder(segment number: Int) {
    let count = UInt32(segments[number].slotCount)
    orders[segments[number].slotByteCount]?.remove((UInt32(number) * count)..<(UInt32(number + 1) * count))
  }

  /// The slots of a segment that an order may know: those that are free or hold a page.
  private func orderedSlots(of number: Int) -> [UInt32] {
    (0..<segments[number].slotCount).compactMap { slot in
      let record = UInt32(number * span + slot)
      let state = records[Int(record)].state
      return state == .free || state == .live ? orderNumber(of: record) : nil
    }
  }

  private func add(_ slots: [UInt32], holding pages: [OrderedPage], to slotByteCount: Int) {
    if orders[slotByteCount] == nil, let orderKind {
      let count = SegmentHeader.slotCount(slotByteCount, segmentByteCount: segmentByteCount)
      do throws(RoostError) {
        orders[slotByteCount] = try orderKind.make(segments.count * count)
      } catch {
        Log.write(.warning, "disk tier: evicts what was used longest ago, without '\(orderKind.name)': \(error)")
        // For all sizes: a slot that its order does not know would be told of otherwise.
        self.orderKind = nil
        orders = [:]
      }
    }
    orders[slotByteCount]?.add(slots, holding: pages)
  }

  /// Slots for the pages of a batch, head to tail, in a size that has an order; what goes for them is gone. `beginWrite`
  /// comes next for each.
  func place(_ keys: [Key], _ slotByteCount: Int, at nanoseconds: UInt64) -> [OrderAnswer.Placing] {
    guard let order = orders[slotByteCount], let size = classes[slotByteCount], size.segmentCount > 0 else {
      return keys.map { _ in .refused }
    }
    let answer = order.place(keys, at: nanoseconds)
    for number in answer.evicted { evict(record(number, slotByteCount)) }
    return answer.placings.map { placing in
      switch placing {
      case .slot(let number):
        let record = record(number, slotByteCount)
        if records[Int(record)].state == .live { evict(record) }
        takeFree(record)
        return .slot(record)
      case .held: return .held
      case .refused:
        noteRefusal(slotByteCount)
        return .refused
      }
    }
  }

  /// Makes the orders forget what they remember of an identity whose pages have been removed.
  func forgetInOrders(_ identity: IdentityID) {
    for order in orders.values { order.forget(identity) }
  }

  /// Tells the orders of pages that a batch reads.
  func tellOrders(_ headToTail: [UInt32], at nanoseconds: UInt64) {
    guard orderKind != nil else { return }
    var sizes: [Int: [Key]] = [:]
    for record in headToTail { sizes[slotByteCount(of: record), default: []].append(records[Int(record)].key) }
    for (slotByteCount, keys) in sizes.sorted(by: { $0.key < $1.key }) {
      for number in orders[slotByteCount]?.use(keys, at: nanoseconds) ?? [] { evict(record(number, slotByteCount)) }
    }
  }
}
