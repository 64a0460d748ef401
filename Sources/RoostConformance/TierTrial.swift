import CRoostPlatform
import Glibc
import RoostPrimitives
import RoostStorage

/// A tier to be asked, and how to get it.
public struct TierSubject: Sendable {
  /// What to call it.
  public var name: String
  /// Makes an empty tier with room for at least `TierSuite.capacityBytesMin`, not recovered.
  public var open: @Sendable () throws(RoostError) -> any Tier
  /// Opens once more, after `close`, what `open` made last; nil if nothing is kept.
  public var reopen: (@Sendable () throws(RoostError) -> any Tier)?
  /// Outcomes that may take the place of any other: those of a tier that is meant to be faulty.
  public var tolerated: Set<PageOutcome.Kind> = []
  /// Whether it may refuse a page when it is full, because others are worth more.
  public var isChoosy = false
  /// What is known of it.
  public var exceptions: [ConformanceException] = []

  /// Describes a subject.
  public init(
    _ name: String, open: @escaping @Sendable () throws(RoostError) -> any Tier,
    reopen: (@Sendable () throws(RoostError) -> any Tier)? = nil
  ) {
    self.name = name
    self.open = open
    self.reopen = reopen
  }
}

/// One check of one tier: a fresh tier and pages to put into it.
public final class TierTrial: ConformanceTrial {
  /// What is wrong.
  public let findings = Findings()
  let subject: TierSubject
  private(set) var tier: any Tier

  init(_ subject: TierSubject) throws(RoostError) {
    self.subject = subject
    tier = try subject.open()
  }

  /// Closes the tier.
  public func end() { tier.close(until: patience) }

  /// Longer than any check should ever take.
  var patience: Deadline { .after(seconds: 30) }

  /// Recovers the tier.
  func recover() throws(RoostError) -> RecoveryReport { try tier.recover(until: patience) }

  /// Closes the tier and opens it once more.
  func restart() throws(RoostError) -> RecoveryReport {
    tier.close(until: patience)
    guard let reopen = subject.reopen else { throw RoostError(.unsupported, "nothing is kept") }
    tier = try reopen()
    return try recover()
  }

  /// Does a batch: one outcome a page, each once, and then the release.
  func run(_ verb: TierVerb, _ pages: [TierPage], line: UInt = #line) throws(RoostError) -> [PageOutcome] {
    let ticket = try tier.submit(TierBatch(verb, pages))
    var outcomes = [PageOutcome?](repeating: nil, count: pages.count)
    let deadline = patience
    while !deadline.hasPassed() {
      var events: [TierEvent] = []
      tier.poll(5, into: &events)
      findings.expect(events.count <= 5, "poll gave more events than asked for", line: line)
      for event in events {
        switch event {
        case .page(let of, let index, let outcome):
          findings.expect(of == ticket, "an event of a batch that has ended", line: line)
          findings.expect(pages.indices.contains(index), "an outcome of a page that is not there", line: line)
          guard of == ticket, pages.indices.contains(index) else { continue }
          findings.expect(outcomes[index] == nil, "page \(index) has two outcomes", line: line)
          outcomes[index] = outcome
        case .released(let of):
          findings.expect(of == ticket, "the release of a batch that has ended", line: line)
          findings.expect(outcomes.allSatisfy { $0 != nil }, "released before all outcomes", line: line)
          return outcomes.compactMap { $0 }
        }
      }
      if events.isEmpty { _ = tier.wait(until: .after(seconds: 0.1)) }
    }
    throw RoostError(.timedOut, "a batch does not end")
  }

  /// Whether an outcome is the expected one; a complaint if it is not, and is not tolerated either.
  @discardableResult
  func expect(
    _ outcome: PageOutcome, _ kind: PageOutcome.Kind, _ what: @autoclosure () -> String, line: UInt = #line
  ) -> Bool {
    if outcome.kind == kind { return true }
    if subject.tolerated.contains(outcome.kind) { return false }
    var told = outcome.kind.rawValue
    if case .failed(let error) = outcome { told += " (\(error))" }
    findings.add("\(what()): \(told), not \(kind.rawValue)", line: line)
    return false
  }

  /// Writes pages; returns those that were done.
  func write(_ sheets: [TierSheet], line: UInt = #line) throws(RoostError) -> [TierSheet] {
    let outcomes = try run(.write, sheets.map(\.forWriting), line: line)
    var written: [TierSheet] = []
    for (sheet, outcome) in zip(sheets, outcomes) {
      if expect(outcome, .done, "writing \(sheet.byteCount) bytes", line: line) { written.append(sheet) }
    }
    return written
  }

  /// Looks for pages, with fresh memory that nobody is interested in.
  func look(_ verb: TierVerb, _ sheets: [TierSheet], line: UInt = #line) throws(RoostError) -> [PageOutcome] {
    let copies = sheets.map { $0.blank() }
    // The memory is the tier's until the batch has ended.
    defer { withExtendedLifetime(copies) {} }
    return try run(verb, copies.map(\.forReading), line: line)
  }

  /// Reads pages that must be there, into fresh memory, and compares every byte.
  func expectReadable(_ sheets: [TierSheet], line: UInt = #line) throws(RoostError) {
    let copies = sheets.map { $0.blank() }
    let outcomes = try run(.read, copies.map(\.forReading), line: line)
    for (index, outcome) in outcomes.enumerated() {
      guard expect(outcome, .done, "reading page \(index) of \(sheets[index].byteCount) bytes", line: line) else {
        continue
      }
      compare(copies[index], outcome, with: sheets[index], line: line)
    }
  }

  /// Complains unless what was read is the page.
  func compare(_ copy: TierSheet, _ outcome: PageOutcome, with sheet: TierSheet, line: UInt = #line) {
    findings.expect(outcome.facts == sheet.facts, "a page has other facts than were written", line: line)
    findings.expect(copy.equals(sheet), "A WRONG BYTE in a page of \(sheet.byteCount)", line: line)
  }
}

/// A page with memory of its own. The bytes follow from the seed.
public final class TierSheet: @unchecked Sendable {
  // Whoever reads or writes it takes turns.
  /// The page's memory.
  public let memory: UnsafeMutableRawBufferPointer
  /// Its name.
  public let name: PageName
  private let layout: UInt64

  /// Memory in front of and behind the page that nobody may touch.
  private static let guardBytes = 64
  private static let guardByte: UInt8 = 0xA7
  private let whole: UnsafeMutableRawBufferPointer

  /// A page for a name. `shift` bytes off a 4 KiB boundary, for one as slots of small sizes are.
  public init(_ name: PageName, byteCount: Int, seed: UInt64, shift: Int = 0) {
    self.name = name
    layout = seed & 0xFF
    let front = shift == 0 ? 4096 : 4096 + shift
    whole = .allocate(byteCount: front + byteCount + TierSheet.guardBytes, alignment: 4096)
    whole.initializeMemory(as: UInt8.self, repeating: TierSheet.guardByte)
    memory = UnsafeMutableRawBufferPointer(rebasing: whole[front..<(front + byteCount)])
    roost_pattern_fill(memory.baseAddress, byteCount, seed, 0)
  }

  deinit { whole.deallocate() }

  /// The page of a small number.
  public convenience init(_ number: UInt64, byteCount: Int, shift: Int = 0) {
    self.init(TierSheet.name(number), byteCount: byteCount, seed: number, shift: shift)
  }

  /// A name that the number gives.
  public static func name(_ number: UInt64) -> PageName {
    var generator = SplitMix64(seed: number)
    let key = Key(
      identity: IdentityID(rawValue: 0), group: UInt16(number % 3),
      words: (generator.next(), generator.next(), generator.next(), generator.next()))
    return PageName(key, identity: IdentityDigest(words: (number % 5, 1, 2, 3)))
  }

  /// The length.
  public var byteCount: Int { memory.count }
  /// What is known about the page.
  public var facts: PageFacts {
    PageFacts(
      byteCount: memory.count, seal: Seal(over: UnsafeRawBufferPointer(memory)),
      representation: Representation(layout: layout))
  }
  /// The page as something to write.
  public var forWriting: TierPage { TierPage(name, memory: memory, facts: facts) }
  /// The page as something to read.
  public var forReading: TierPage { TierPage(name, memory: memory) }

  /// Memory for the same page, with something else in it.
  public func blank() -> TierSheet {
    TierSheet(name, byteCount: byteCount, seed: 0xB1A2, shift: Int(bitPattern: memory.baseAddress) & 4095)
  }

  /// Whether two pages have the same bytes, and nobody wrote beside them.
  public func equals(_ other: TierSheet) -> Bool {
    guard byteCount == other.byteCount, let one = memory.baseAddress, let two = other.memory.baseAddress else {
      return false
    }
    return memcmp(one, two, byteCount) == 0 && isGuarded && other.isGuarded
  }

  /// Whether the memory around the page is as it was.
  public var isGuarded: Bool {
    whole.suffix(TierSheet.guardBytes).allSatisfy { $0 == TierSheet.guardByte }
      && whole.prefix(TierSheet.guardBytes).allSatisfy { $0 == TierSheet.guardByte }
  }
}
