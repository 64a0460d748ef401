import RoostBlocks
import RoostPrimitives

/// Messages about leases that were handed out: what a worker that a serving engine embeds and its control plane say.
extension WorkerMessage {
  /// Whether the bytes are such a message, as far as their first one tells.
  static func concernsLeases(_ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first else { return false }
    return Kind.hello.rawValue...Kind.reported.rawValue ~= first
  }

  func encodeLease(into writer: inout WireWriter) {
    switch self {
    case .hello: writer.put(Kind.hello.rawValue)
    case .welcome(let sizes, let abandoned):
      writer.put(Kind.welcome.rawValue)
      writer.put(UInt32(sizes.count))
      for size in sizes { writer.put(UInt64(size)) }
      writer.put(UInt32(abandoned.count))
      for lease in abandoned { writer.put(lease.rawValue) }
    case .serves(let group, let shard):
      writer.put(Kind.serves.rawValue)
      writer.put(UInt16(group))
      writer.put(UInt8(shard))
    case .withdraw(let lease):
      writer.put(Kind.withdraw.rawValue)
      writer.put(lease.rawValue)
    case .reported(let report):
      writer.put(Kind.reported.rawValue)
      writer.put(report.lease.rawValue)
      writer.put(UInt8(report.shard))
      writer.put(report.status.rawValue)
      writer.put(UInt64(report.byteCount))
      writer.put(report.nanoseconds)
      writer.put(UInt32(report.failedPages.count))
      for page in report.failedPages {
        writer.put(page.position)
        writer.put(page.slot.rawValue)
        writer.put(page.generation)
      }
    default: break
    }
  }

  static func leaseBody(of kind: Kind, from reader: inout WireReader) -> WorkerMessage? {
    switch kind {
    case .hello: return .hello
    case .welcome:
      guard let sizes = numbers(from: &reader), let leases = numbers(from: &reader),
        sizes.allSatisfy({ $0 <= UInt64(Int.max) })
      else { return nil }
      return .welcome(pageByteCounts: sizes.map { Int($0) }, abandoned: leases.map(LeaseID.init(rawValue:)))
    case .serves:
      guard let group = reader.take(UInt16.self), let shard = reader.take(UInt8.self), shard < 64 else { return nil }
      return .serves(group: Int(group), shard: Int(shard))
    case .withdraw: return reader.take(UInt64.self).map { .withdraw(LeaseID(rawValue: $0)) }
    case .reported: return report(from: &reader).map { .reported($0) }
    default: return nil
    }
  }

  private static func numbers(from reader: inout WireReader) -> [UInt64]? {
    guard let count = reader.takeCount(stride: 8) else { return nil }
    var numbers: [UInt64] = []
    for _ in 0..<count {
      guard let number = reader.take(UInt64.self) else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  private static func report(from reader: inout WireReader) -> HandOutLedger.Report? {
    guard let lease = reader.take(UInt64.self), let shard = reader.take(UInt8.self), shard < 64,
      let status = reader.take(UInt8.self).flatMap(HandOutLedger.Report.Status.init(rawValue:)),
      let byteCount = reader.take(UInt64.self), byteCount <= UInt64(Int.max),
      let nanoseconds = reader.take(UInt64.self), let count = reader.takeCount(stride: 12)
    else { return nil }
    var report = HandOutLedger.Report(
      lease: LeaseID(rawValue: lease), shard: Int(shard), status: status, byteCount: Int(byteCount),
      nanoseconds: nanoseconds)
    for _ in 0..<count {
      guard let position = reader.take(UInt32.self), let slot = reader.take(UInt32.self),
        let generation = reader.take(UInt32.self)
      else { return nil }
      report.failedPages.append(
        HandOutLedger.FailedPage(
          position: position, slot: SlotNumber(rawValue: slot), generation: generation))
    }
    return report
  }
}
