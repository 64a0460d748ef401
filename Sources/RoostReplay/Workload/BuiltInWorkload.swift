import RoostPrimitives

/// A workload without a file: people who chat, agents that call tools, questions about shared documents, mixed and
/// interleaved as a server would see them. The same seed gives the same requests on every machine (no floating point).
///
/// The model, in blocks of 512 tokens:
/// * Sessions start at uniformly random intervals; each has a kind, and a prefix that all sessions of its kind and
///   variant share.
/// * **Chats** (65 %): one of 4 system prompts of 2 blocks; 1 to 24 turns (mean 6); a turn adds 1 to 4 blocks (answer and
///   next question) after 20 seconds to 15 minutes.
/// * **Agents** (5 %): one of 3 system prompts with tools of 24 blocks; a task of 2 to 6 blocks; 1 to 60 steps (mean 16);
///   a step adds 1 to 4 blocks (call and output) after 2 to 40 seconds.
/// * **Documents** (30 %): a system prompt of 1 block, then one of 240 documents of 8 to 64 blocks, the k-th with a chance
///   in proportion to 1/k; 1 to 8 questions (mean 2) of 1 block, after 10 seconds to 4 minutes.
/// * A session's blocks are its prefix, then its own; each request repeats all of them. Ids are given in the order of
///   their first use and are prefix-chained.
///
/// Memory is that of the sessions that are alive. Not thread-safe.
public final class BuiltInWorkload: RequestStream {
  /// `built-in workload`.
  public let name = "built-in workload"
  /// How many requests the sessions will make together.
  public let requestCount: Int?

  /// Sessions where nothing else is said: about 450,000 block references of 44,000 blocks; 4 GiB of
  /// 256 KiB blocks hold three eighths of them. Takes 30 to 60 seconds with real bytes.
  public static let sessionCountDefault = 3_000

  /// Milliseconds between the starts of sessions, at most; half of it on average.
  private static let intervalMilliseconds = 1_000
  private static let tokensPerBlock = 512

  private let seed: UInt64
  private let sessionCount: Int
  private var starts: SplitMix64
  private var sessionsStarted = 0
  private var nextStart = 0
  private var idsGiven: UInt64 = 0
  private var alive = SessionQueue()
  private let prefixes: [SessionKind: [[UInt64]]]

  /// Starts the workload.
  ///
  /// - Precondition: `sessionCount` is positive.
  public init(seed: UInt64, sessionCount: Int = BuiltInWorkload.sessionCountDefault) {
    precondition(sessionCount > 0, "a workload needs sessions")
    var random = SplitMix64(seed: seed)
    var given: UInt64 = 0
    func fresh(_ count: Int) -> [UInt64] {
      defer { given += UInt64(count) }
      return (0..<UInt64(count)).map { given + $0 }
    }
    let chats = (0..<4).map { _ in fresh(2) }
    let agents = (0..<3).map { _ in fresh(24) }
    let prompt = fresh(1)
    let documents = (0..<240).map { _ in prompt + fresh(Int.random(in: 8...64, using: &random)) }
    prefixes = [.chat: chats, .agent: agents, .document: documents]
    idsGiven = given
    starts = random
    self.seed = seed
    self.sessionCount = sessionCount
    // Every session has random numbers of its own, so that its requests can be counted without the others.
    requestCount = (0..<sessionCount).reduce(0) { $0 + Session(number: $1, seed: seed).turnsLeft }
  }

  /// The next request in the order of time.
  public func next(into request: inout TraceRequest) throws(RoostError) -> Bool {
    while sessionsStarted < sessionCount, nextStart <= alive.nextTime ?? .max { startSession() }
    guard var session = alive.popFirst() else { return false }
    request.clear()
    request.milliseconds = session.time
    request.session = session.number
    request.inputTokenCount = session.ids.count * BuiltInWorkload.tokensPerBlock
    request.outputTokenCount = Int.random(in: 50...900, using: &session.random)
    request.ids.append(contentsOf: session.ids)
    session.turnsLeft -= 1
    if session.turnsLeft > 0 {
      append(Int.random(in: session.kind.blocksPerTurn, using: &session.random), to: &session)
      session.time += Int.random(in: session.kind.pauseMilliseconds, using: &session.random)
      alive.insert(session)
    }
    return true
  }

  private func startSession() {
    var session = Session(number: sessionsStarted, seed: seed)
    // Every kind has its prefixes.
    let variants = prefixes[session.kind]!
    let variant =
      session.kind == .document
      ? BuiltInWorkload.popular(of: variants.count, &session.random)
      : Int.random(in: 0..<variants.count, using: &session.random)
    session.ids = variants[variant]
    session.time = nextStart
    append(Int.random(in: session.kind.openingBlocks, using: &session.random), to: &session)
    alive.insert(session)
    sessionsStarted += 1
    nextStart += Int.random(in: 0...BuiltInWorkload.intervalMilliseconds, using: &starts)
  }

  private func append(_ count: Int, to session: inout Session) {
    for _ in 0..<count {
      session.ids.append(idsGiven)
      idsGiven += 1
    }
  }

  /// An index below `count`, the k-th with a chance in proportion to 1/k: integer weights, scaled so that the rounding
  /// does not show.
  private static func popular(of count: Int, _ random: inout SplitMix64) -> Int {
    let scale = 1 << 30
    let total = (1...count).reduce(0) { $0 + scale / $1 }
    var left = Int.random(in: 0..<total, using: &random)
    for index in 0..<count {
      left -= scale / (index + 1)
      if left < 0 { return index }
    }
    return count - 1
  }
}
