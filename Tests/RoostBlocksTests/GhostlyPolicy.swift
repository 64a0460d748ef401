import RoostPrimitives

@testable import RoostBlocks

/// A policy as awkward as the protocol allows: random victims, refuses some newcomers at random, keeps ghosts of all it
/// loses and drops them at random above a bound. Deterministic by seed. It checks what it is told.
final class GhostlyPolicy: EvictionPolicy {
  static func factory(seed: UInt64) -> PolicyFactory {
    PolicyFactory(name: "ghostly", recordsPerSlot: 4) { _ throws(RoostError) in GhostlyPolicy(seed: seed) }
  }

  private var random: SplitMix64
  private var residents: Set<RecordNumber> = []
  private var ghosts: Set<RecordNumber> = []
  /// Calls that broke the protocol.
  private(set) var complaints: [String] = []
  private(set) var ghostsThatCameBack = 0

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  let keepsGhosts = true
  let reservedBytes = 0

  func decide(_ event: RequestEvent, victims: inout [RecordNumber]) -> Int {
    for block in event.blocks {
      let known =
        switch block.standing {
        case .untracked: block.record == .none
        case .ghost: ghosts.contains(block.record)
        case .held: residents.contains(block.record)
        case .admitted: false
        }
      if !known { complaints.append("a block is \(block.standing) and should not be") }
    }
    let wanted = Int.random(in: 0...max(0, event.admissionMax), using: &random)
    let own = Set(event.blocks.map(\.record))
    take(wanted - event.freeSlotCount, event.states, sparing: own, &victims)
    return wanted
  }

  func settle(_ event: RequestEvent, dropped: inout [RecordNumber]) {
    for block in event.blocks {
      switch block.standing {
      case .untracked: break  // The table has no record left.
      case .ghost:
        if residents.contains(block.record) { complaints.append("a resident became a ghost") }
        ghosts.insert(block.record)
      case .held, .admitted:
        if ghosts.remove(block.record) != nil { ghostsThatCameBack += 1 }
        residents.insert(block.record)
      }
    }
    while ghosts.count > event.capacity, let ghost = ghosts.min(by: { $0.rawValue < $1.rawValue }) {
      ghosts.remove(ghost)
      dropped.append(ghost)
    }
  }

  func released(_ records: [RecordNumber]) {
    if !residents.isSuperset(of: records) { complaints.append("released a block that is not resident") }
  }

  func removed(_ records: [RecordNumber]) {
    for record in records where residents.remove(record) == nil && ghosts.remove(record) == nil {
      complaints.append("removed a block that is not known")
    }
  }

  func adopted(_ records: [RecordNumber]) { residents.formUnion(records) }

  func evict(_ count: Int, _ states: BlockStates, victims: inout [RecordNumber]) {
    take(count, states, sparing: [], &victims)
  }

  func reset() {
    residents = []
    ghosts = []
  }

  func checkInvariants(_ states: BlockStates) -> [String] {
    complaints + residents.filter { !states.isResident($0) }.map { "record \($0.rawValue) is not resident" }
      + ghosts.filter(states.isResident).map { "record \($0.rawValue) is no ghost" }
  }

  private func take(
    _ count: Int, _ states: BlockStates, sparing own: Set<RecordNumber>, _ victims: inout [RecordNumber]
  ) {
    guard count > 0 else { return }
    let possible = residents.subtracting(own).filter(states.isEvictable).sorted { $0.rawValue < $1.rawValue }
    for record in possible.shuffled(using: &random).prefix(count) {
      victims.append(record)
      residents.remove(record)
      ghosts.insert(record)
    }
  }
}
