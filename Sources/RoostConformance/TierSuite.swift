import RoostPrimitives
import RoostStorage

/// What every tier must do: the contract of `Tier` as checks.
public enum TierSuite {
  /// A check of a tier.
  public typealias Check = ConformanceCheck<TierTrial>

  /// Room that a subject must have: the largest check writes 3 MiB.
  public static let capacityBytesMin = 8 << 20

  /// Every check.
  public static let checks: [Check] = [
    Check("a page that was written is read back, byte for byte", readsBack),
    Check("pages of all lengths and alignments are read back", readsAllLengths),
    Check("a page that was never written is missing", isMissing),
    Check("names that differ in any part are different pages", tellsNamesApart),
    Check("a page in memory that is longer leaves the rest alone", leavesTheRest),
    Check("memory that is too short fails", refusesShortMemory),
    Check("a write whose memory has another length than its facts fails", refusesUnequalLength),
    Check("a page that is there is not written twice", writesOnce),
    Check("a removed page is missing, and can be written again", removes),
    Check("a tier that is full makes room, and keeps within its capacity", makesRoom),
    Check("counters reconcile", counts),
    Check("a batch without pages is released, one that is too long is refused", boundsBatches),
    Check("nothing is there before recovery, and nothing after close", hasALife),
    Check("many batches at once each get their own outcomes", runsManyBatches),
    Check("pages survive a restart", obstacle: { $0.subject.reopen == nil ? "nothing is kept" : nil }, survives),
    Check("a forgotten identity's pages are missing, and can be written again", forgets),
    Check(
      "a forgotten identity does not come back with a restart",
      obstacle: { $0.subject.reopen == nil ? "nothing is kept" : nil }, staysForgotten),
    Check(
      "a removed page does not come back with a restart",
      obstacle: { $0.subject.reopen == nil ? "nothing is kept" : nil }, staysRemoved),
  ]

  /// Asks one subject.
  public static func verdict(on check: Check, of subject: TierSubject) -> ConformanceVerdict {
    check.verdict(excepting: subject.exceptions) { () throws(RoostError) in try TierTrial(subject) }
  }

  private static func readsBack(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let sheets = (0..<20 as Range<UInt64>).map { TierSheet($0, byteCount: 65536) }
    let written = try trial.write(sheets)
    for outcome in try trial.run(.contains, written.map { TierPage($0.name) }) {
      trial.expect(outcome, .done, "looking for a page that was written")
    }
    try trial.expectReadable(written)
  }

  private static func readsAllLengths(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let lengths = [1, 7, 511, 512, 513, 4095, 4096, 4097, 61440, 65536, 65537, 100_000, 262_144]
    var sheets: [TierSheet] = []
    for (index, length) in lengths.enumerated() {
      sheets.append(TierSheet(UInt64(2 * index), byteCount: length))
      sheets.append(TierSheet(UInt64(2 * index + 1), byteCount: length, shift: 512 + index))
    }
    for sheet in sheets { try trial.expectReadable(trial.write([sheet])) }
  }

  private static func isMissing(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let written = try trial.write([TierSheet(1, byteCount: 4096)])
    let other = TierSheet(2, byteCount: 4096)
    for verb in [TierVerb.contains, .read] {
      for outcome in try trial.run(verb, [other.forReading]) { trial.expect(outcome, .missing, verb.rawValue) }
    }
    trial.findings.expect(written.count <= 1 && other.isGuarded, "memory was touched beside the page")
  }

  private static func tellsNamesApart(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let first = TierSheet.name(1)
    var names = [first]
    var name = first
    name.group += 1
    names.append(name)
    name = first
    name.identity.words.3 ^= 1
    names.append(name)
    name = first
    name.words.3 ^= 1 << 63
    names.append(name)
    name = first
    name.words.3 = 0
    names.append(name)
    name.hashByteCount = 24
    names.append(name)
    let sheets = names.enumerated().map { TierSheet($1, byteCount: 4096, seed: UInt64($0)) }
    let written = try trial.write(sheets)
    try trial.expectReadable(written)
  }

  private static func leavesTheRest(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    for length in [1000, 4096, 5000] {
      guard let sheet = try trial.write([TierSheet(UInt64(length), byteCount: length)]).first else { continue }
      let long = TierSheet(sheet.name, byteCount: 3 * length, seed: 9)
      let before = Array(long.memory.dropFirst(length))
      let outcome = try trial.run(.read, [long.forReading])[0]
      guard trial.expect(outcome, .done, "reading into longer memory") else { continue }
      trial.findings.expect(long.memory.prefix(length).elementsEqual(sheet.memory), "A WRONG BYTE")
      trial.findings.expect(
        long.memory.dropFirst(length).elementsEqual(before), "the memory behind the page was written")
    }
  }

  private static func refusesShortMemory(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    guard let sheet = try trial.write([TierSheet(1, byteCount: 8192)]).first else { return }
    let short = TierSheet(sheet.name, byteCount: 8191, seed: 9)
    trial.expect(try trial.run(.read, [short.forReading])[0], .failed, "reading into shorter memory")
    trial.findings.expect(short.isGuarded, "memory was touched beside the page")
    try trial.expectReadable([sheet])
  }

  private static func refusesUnequalLength(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let sheet = TierSheet(1, byteCount: 8192)
    var page = sheet.forWriting
    page.facts.byteCount = 8191
    trial.expect(try trial.run(.write, [page])[0], .failed, "a write with the wrong length")
    page.memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    page.facts.byteCount = 0
    trial.expect(try trial.run(.write, [page])[0], .failed, "a write of nothing")
    trial.expect(try trial.run(.contains, [page])[0], .missing, "looking for a page that failed")
  }

  private static func writesOnce(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let written = try trial.write([TierSheet(1, byteCount: 8192)])
    let bytes = trial.tier.usage.counters.writtenBytes
    guard written.count == 1, try trial.write(written).count == 1 else { return }
    trial.findings.expect(trial.tier.usage.counters.writtenBytes == bytes, "the page was written again")
    trial.findings.expect(trial.tier.usage.pageCount == 1, "the page is there twice")
    try trial.expectReadable(written)
  }

  private static func removes(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let written = try trial.write((0..<4 as Range<UInt64>).map { TierSheet($0, byteCount: 8192) })
    let (gone, kept) = (Array(written.prefix(2)), Array(written.dropFirst(2)))
    for (sheet, outcome) in zip(gone, try trial.run(.remove, gone.map { TierPage($0.name) })) {
      guard trial.expect(outcome, .done, "removing") else { continue }
      trial.expect(try trial.look(.read, [sheet])[0], .missing, "reading a removed page")
    }
    trial.expect(try trial.run(.remove, [TierPage(TierSheet.name(99))])[0], .done, "removing what is not there")
    try trial.expectReadable(kept)
    try trial.expectReadable(trial.write(gone))
  }

  private static func makesRoom(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let size = 256 << 10
    let count = UInt64(trial.tier.usage.capacityBytes / size + 8)
    var last: [TierSheet] = []
    for number in 0..<count {
      let sheet = TierSheet(number, byteCount: size)
      let outcome = try trial.run(.write, [sheet.forWriting])[0]
      if !(trial.subject.isChoosy && outcome.kind == .refused), trial.expect(outcome, .done, "writing page \(number)") {
        last = [sheet]
      }
      let usage = trial.tier.usage
      trial.findings.expect(usage.occupiedBytes <= usage.capacityBytes, "\(usage.occupiedBytes) bytes are occupied")
      trial.findings.expect(usage.pageBytes <= usage.capacityBytes, "\(usage.pageBytes) bytes of pages")
    }
    try trial.expectReadable(last)
    guard trial.subject.tolerated.isEmpty else { return }
    let counters = trial.tier.usage.counters
    let wentCount = counters.evictedCount + counters.count(of: .write, .refused)
    trial.findings.expect(wentCount >= 8, "too few pages went")
    if trial.subject.isChoosy { return }
    trial.expect(try trial.run(.contains, [TierPage(TierSheet.name(0))])[0], .missing, "the oldest page")
  }

  private static func counts(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let sheets = (0..<10 as Range<UInt64>).map { TierSheet($0, byteCount: 4096) }
    _ = try trial.write(Array(sheets.prefix(6)))
    _ = try trial.run(.read, sheets.map(\.forReading))
    _ = try trial.run(.contains, sheets.map { TierPage($0.name) })
    _ = try trial.run(.remove, sheets.suffix(5).map { TierPage($0.name) })
    let usage = trial.tier.usage
    trial.findings.expect(usage.inFlightCount == 0, "\(usage.inFlightCount) pages are in flight")
    trial.findings.expect(
      usage.counters.submittedCount == 31, "\(usage.counters.submittedCount) pages submitted, not 31")
    trial.findings.expect(usage.counters.endedCount == 31, "\(usage.counters.endedCount) outcomes, not 31")
    guard trial.subject.tolerated.isEmpty else { return }
    trial.findings.expect(usage.counters.count(of: .read, .missing) == 4, "not 4 of the reads were misses")
    trial.findings.expect(usage.counters.readBytes == 6 * 4096, "\(usage.counters.readBytes) bytes read, not 6 pages")
    trial.findings.expect(usage.pageCount == 5, "\(usage.pageCount) pages are left, not 5")
  }

  private static func boundsBatches(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    trial.findings.expect(try trial.run(.read, []).isEmpty, "an empty batch has outcomes")
    let page = TierPage(TierSheet.name(1))
    let long = TierBatch(.contains, Array(repeating: page, count: TierBatch.pageCountMax + 1))
    trial.findings.expectError(.invalidInput, "a batch that is too long") { () throws(RoostError) in
      _ = try trial.tier.submit(long)
    }
  }

  private static func hasALife(_ trial: TierTrial) throws(RoostError) {
    let sheet = TierSheet(1, byteCount: 4096)
    trial.expect(try trial.run(.read, [sheet.forReading])[0], .missing, "reading before recovery")
    trial.expect(try trial.run(.write, [sheet.forWriting])[0], .throttled, "writing before recovery")
    let report = try trial.recover()
    trial.findings.expect(report.pageCount == 0 && report.byteCount == 0, "a new tier is not empty")
    try trial.expectReadable(trial.write([sheet]))
    try trial.tier.drain(until: trial.patience)
    trial.tier.close(until: trial.patience)
    trial.findings.expectError(.lost, "a batch after close") { () throws(RoostError) in
      _ = try trial.tier.submit(TierBatch(.read, [sheet.forReading]))
    }
  }

  private static func runsManyBatches(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let sheets = (0..<60 as Range<UInt64>).map { TierSheet($0, byteCount: $0 % 2 == 0 ? 8192 : 12_288) }
    let written = try trial.write(sheets)
    let copies = written.map { $0.blank() }
    var places: [TierTicket: Int] = [:]
    for (index, copy) in copies.enumerated() {
      places[try trial.tier.submit(TierBatch(.read, [copy.forReading]))] = index
    }
    var released = 0
    let deadline = trial.patience
    while released < copies.count, !deadline.hasPassed() {
      var events: [TierEvent] = []
      trial.tier.poll(64, into: &events)
      for event in events {
        switch event {
        case .released: released += 1
        case .page(let ticket, _, let outcome):
          guard let place = places[ticket], trial.expect(outcome, .done, "reading one of many") else { continue }
          trial.compare(copies[place], outcome, with: written[place])
        }
      }
      if events.isEmpty { _ = trial.tier.wait(until: .after(seconds: 0.1)) }
    }
    trial.findings.expect(released == copies.count, "\(released) of \(copies.count) batches ended")
  }

  private static func survives(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    var sheets = (0..<30 as Range<UInt64>).map { TierSheet($0, byteCount: 4096 + Int($0 % 6) * 9000) }
    sheets = try trial.write(sheets)
    for _ in 0..<2 {
      let report = try trial.restart()
      if trial.subject.tolerated.isEmpty {
        trial.findings.expect(report.pageCount == sheets.count, "\(report.pageCount) pages are left of \(sheets.count)")
        trial.findings.expect(
          report.byteCount == sheets.reduce(0) { $0 + $1.byteCount }, "\(report.byteCount) bytes are left")
        trial.findings.expect(report.identityCount == 5, "\(report.identityCount) identities, not 5")
      }
      try trial.expectReadable(sheets)
    }
  }

  private static func staysRemoved(_ trial: TierTrial) throws(RoostError) {
    _ = try trial.recover()
    let written = try trial.write((0..<4 as Range<UInt64>).map { TierSheet($0, byteCount: 8192) })
    guard let gone = written.first else { return }
    let outcome = try trial.run(.remove, [TierPage(gone.name)])[0]
    guard trial.expect(outcome, .done, "removing") else { return }
    _ = try trial.restart()
    trial.expect(try trial.look(.read, [gone])[0], .missing, "reading a removed page")
    try trial.expectReadable(Array(written.dropFirst()))
  }
}
