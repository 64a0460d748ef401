import RoostBlocks
import RoostPrimitives

/// Which requests wait for which pages from the tier, what they hold, and how much of the pool that is. A pure state
/// machine.
///
/// The life of a ticket:
/// 1. `begin`: its keys wait for their turn.
/// 2. `next` takes some keys of one ticket, head first. One that is being promoted already is only joined; for the
///    others the driver finds slots and says `started`, or `settled` if there is nothing to do.
/// 3. `arrived` and `failed`, for a key, tell everybody who waits for it.
/// 4. `end`: the load begins, the request is over, or the deadline has passed. Its leases go.
///
/// A page counts against the share of its slot size class from `started` until it fails or the ticket that started it
/// ends.
struct PrefetchLedger {
  /// Some keys of one ticket and one class that somebody has to find slots for.
  struct Turn {
    var ticket: PrefetchID
    var request: RequestID
    var slotClass: Int
    var keys: [Key]
  }

  private struct Ticket {
    var request: RequestID
    var deadline: UInt64
    var keys: [Key]
    var next = 0
    var progress = PrefetchProgress()
    var holds: [LeaseID] = []
    /// By class: pages that arrived for it.
    var held: [Int]
  }

  private struct Promotion {
    var slotClass: Int
    /// The ticket that started it first.
    var tickets: [PrefetchID]
  }

  private var tickets: [PrefetchID: Ticket] = [:]
  private var order: [PrefetchID] = []
  private var promotions: [Key: Promotion] = [:]
  private var lastID: UInt64 = 0
  private let classCount: Int
  /// By class: pages under way.
  private(set) var inFlight: [Int]
  /// By class: pages that arrived and wait for their load.
  private(set) var held: [Int]

  init(classCount: Int) {
    self.classCount = classCount
    inFlight = Array(repeating: 0, count: classCount)
    held = Array(repeating: 0, count: classCount)
  }

  /// Tickets that live.
  var count: Int { tickets.count }

  /// The first deadline of a ticket.
  var earliestDeadline: UInt64 { tickets.values.reduce(.max) { min($0, $1.deadline) } }

  /// Whether a page is on its way.
  func isPromoting(_ key: Key) -> Bool { promotions[key] != nil }

  /// Enters a request that wants pages.
  mutating func begin(
    _ request: RequestID, _ keys: [Key], until deadline: UInt64, hold: LeaseID?
  ) -> PrefetchID {
    lastID += 1
    let id = PrefetchID(rawValue: lastID)
    var ticket = Ticket(
      request: request, deadline: deadline, keys: keys, held: Array(repeating: 0, count: classCount))
    ticket.progress.wanted = keys.count
    if let hold { ticket.holds.append(hold) }
    tickets[id] = ticket
    order.append(id)
    return id
  }

  /// The next keys to find slots for: those of the oldest ticket that has some.
  ///
  /// - Parameters:
  ///   - room: how many pages of a class there may be, under way and waiting.
  ///   - countMax: how many keys at most.
  /// - Returns: the turn, nil if nothing can be done; and the keys that were given up because no room will come.
  mutating func next(
    _ countMax: Int, classOf: (Key) -> Int, room: (Int) -> Int
  ) -> (turn: Turn?, refusedCount: Int) {
    var refused = 0
    for id in order {
      guard var ticket = tickets[id], ticket.next < ticket.keys.count else { continue }
      var turn = Turn(ticket: id, request: ticket.request, slotClass: classOf(ticket.keys[ticket.next]), keys: [])
      let free = room(turn.slotClass) - inFlight[turn.slotClass] - held[turn.slotClass]
      while ticket.next < ticket.keys.count, turn.keys.count < min(free, countMax) {
        let key = ticket.keys[ticket.next]
        guard classOf(key) == turn.slotClass else { break }
        ticket.next += 1
        if promotions[key] != nil {
          promotions[key]?.tickets.append(id)
        } else {
          turn.keys.append(key)
        }
      }
      if free <= 0, inFlight[turn.slotClass] == 0 {
        // Nothing is under way, so what takes the room waits for its load: it may wait for this one as well.
        let rest = ticket.keys.count - ticket.next
        ticket.next = ticket.keys.count
        ticket.progress.failed += rest
        refused += rest
      }
      tickets[id] = ticket
      if !turn.keys.isEmpty { return (turn, refused) }
    }
    return (nil, refused)
  }

  /// A slot was found for a key of a turn, and it is on its way.
  mutating func started(_ key: Key, _ slotClass: Int, for id: PrefetchID) {
    promotions[key] = Promotion(slotClass: slotClass, tickets: [id])
    inFlight[slotClass] += 1
  }

  /// A key of a turn needs nothing: it is there already, or there is no slot.
  mutating func settled(_ id: PrefetchID, arrived: Bool) {
    if arrived { tickets[id]?.progress.arrived += 1 } else { tickets[id]?.progress.failed += 1 }
  }

  /// A page is in the pool.
  ///
  /// - Returns: the tickets that waited for it.
  mutating func arrived(_ key: Key) -> [PrefetchID] {
    guard let promotion = promotions.removeValue(forKey: key) else { return [] }
    inFlight[promotion.slotClass] -= 1
    let waiting = promotion.tickets.filter { tickets[$0] != nil }
    for id in waiting { tickets[id]?.progress.arrived += 1 }
    if let first = waiting.first {
      tickets[first]?.held[promotion.slotClass] += 1
      held[promotion.slotClass] += 1
    }
    return waiting
  }

  /// A page will not come.
  mutating func failed(_ key: Key) {
    guard let promotion = promotions.removeValue(forKey: key) else { return }
    inFlight[promotion.slotClass] -= 1
    for id in promotion.tickets { tickets[id]?.progress.failed += 1 }
  }

  /// A lease that goes when the ticket ends. False: it has ended.
  mutating func hold(_ lease: LeaseID, for id: PrefetchID) -> Bool {
    guard tickets[id] != nil else { return false }
    tickets[id]?.holds.append(lease)
    return true
  }

  /// The request behind a ticket that lives.
  func request(of id: PrefetchID) -> RequestID? { tickets[id]?.request }

  /// How far a ticket is; nil if it has ended.
  func progress(of id: PrefetchID) -> PrefetchProgress? { tickets[id]?.progress }

  // MARK: Ends. Each returns the leases that are to be ended.

  /// Ends a ticket.
  mutating func end(_ id: PrefetchID) -> [LeaseID] {
    guard let ticket = tickets.removeValue(forKey: id) else { return [] }
    order.removeAll { $0 == id }
    for number in 0..<classCount { held[number] -= ticket.held[number] }
    return ticket.holds
  }

  /// Ends the tickets of a request.
  mutating func end(of request: RequestID) -> [LeaseID] {
    guard !tickets.isEmpty else { return [] }
    return end(where: { $0.request == request })
  }

  /// Ends the tickets whose deadline has passed.
  mutating func expire(at now: UInt64) -> [LeaseID] {
    guard !tickets.isEmpty else { return [] }
    return end(where: { $0.deadline <= now })
  }

  /// Ends all tickets.
  mutating func endAll() -> [LeaseID] { end(where: { _ in true }) }

  private mutating func end(where isMeant: (Ticket) -> Bool) -> [LeaseID] {
    order.filter { tickets[$0].map(isMeant) ?? false }.flatMap { end($0) }
  }
}
