import RoostBlocks
import RoostPrimitives

/// Agents at work: each request repeats its agent's whole prefix and adds one to four blocks; the agent that asked last
/// is the likeliest to ask next; one with 500 blocks makes room for a new one. A request has 250 blocks on average. Not
/// thread-safe.
final class PolicyWorkload {
  private static let agentCount = 48
  private static let blockCountMax = 500

  private var table: BlockTable
  private var random = SplitMix64(seed: 1)
  /// The agents' numbers and lengths, the one that asked last in front.
  private var agents: [(number: UInt64, length: Int)]
  private var agentsMade = UInt64(agentCount)
  private var time: UInt64 = 0
  private let keys = UnsafeMutablePointer<Key>.allocate(capacity: blockCountMax + 4)
  private let grants = UnsafeMutableBufferPointer<StoreGrant>.allocate(capacity: blockCountMax + 4)

  init(_ configuration: BlockTableConfiguration) throws(RoostError) {
    table = try BlockTable(configuration)
    table.addSlots(0..<UInt32(configuration.slotCountMax), SlotClass(rawValue: 0))
    agents = (0..<PolicyWorkload.agentCount).map { (UInt64($0), 10 * ($0 + 1)) }
  }

  deinit {
    keys.deallocate()
    grants.deallocate()
  }

  var bytesPerSlot: Double { table.bytesPerSlot }

  func run(requestCount: Int) throws(RoostError) {
    for _ in 0..<requestCount { try request() }
  }

  private func request() throws(RoostError) {
    // The smaller of two: a linear preference for those that asked last.
    let place = min(
      Int.random(in: agents.indices, using: &random), Int.random(in: agents.indices, using: &random))
    var agent = agents.remove(at: place)
    agent.length += Int.random(in: 1...4, using: &random)
    if agent.length > PolicyWorkload.blockCountMax {
      agent = (agentsMade, Int.random(in: 20...60, using: &random))
      agentsMade += 1
    }
    agents.insert(agent, at: 0)
    time += UInt64.random(in: 500_000_000...14_000_000_000, using: &random)
    for block in 0..<agent.length {
      let number = agent.number << 16 | UInt64(block)
      (keys + block).initialize(
        to: Key(identity: IdentityID(rawValue: 0), group: 0, words: (SplitMix64.mix(number), number, 0, 0)))
    }
    let request = StoreRequest(
      origin: RequestOrigin(request: RequestID(rawValue: time), time: time),
      keys: UnsafeBufferPointer(start: keys, count: agent.length), slotClass: SlotClass(rawValue: 0))
    if let lease = try table.beginStore(request, into: grants) { table.commit(lease) }
  }
}
