import RoostBlocks
import RoostPrimitives

/// What the control plane and a worker say to each other over the attachment's connection.
///
/// Little-endian, fixed layout, one message a datagram: one byte of kind, then the fields. Whatever does not parse
/// exactly is refused as a whole: the peer is another process, and may be another build.
enum WorkerMessage {
  /// Control to worker: copy these blocks.
  case job(id: JobID, verb: CopyVerb, group: Int, blocks: [BlockCopy])
  /// Control to worker: do not start this job if it has not.
  case cancel(JobID)
  /// Worker to control: a job has ended.
  case ended(JobReport)
  /// Control to worker: fill these device blocks with the test pattern of each seed.
  case fill(id: JobID, probes: [PatternProbe])
  /// Control to worker: count the bytes of these device blocks that differ from the pattern of each seed.
  case verify(id: JobID, probes: [PatternProbe])
  /// Control to worker: finish what is running and leave.
  case stop
  /// Worker to control: jobs come by another way; the worker reports leases.
  case hello
  /// Control to worker: the answer. The bytes of a page of each group, and the leases that are not to be touched.
  case welcome(pageByteCounts: [Int], abandoned: [LeaseID])
  /// Worker to control: the shard that it holds of a group.
  case serves(group: Int, shard: Int)
  /// Control to worker: nothing is to be copied any more under this lease; answered with a report.
  case withdraw(LeaseID)
  /// Worker to control: no copy runs under this lease any more.
  case reported(HandOutLedger.Report)

  /// A device block and the seed of the pattern that it should hold.
  struct PatternProbe {
    var block: UInt32
    var seed: UInt64
  }

  /// What a worker says of a job.
  struct JobReport {
    enum Status: UInt8 {
      case done, cancelled, failed
    }
    var id: JobID
    var status: Status
    var byteCount: Int
    var nanoseconds: UInt64
    /// For `verify`: how many bytes were wrong.
    var wrongByteCount: Int
    var failedBlocks: [UInt32]
    var message: String

    init(
      id: JobID, status: Status, byteCount: Int = 0, nanoseconds: UInt64 = 0, wrongByteCount: Int = 0,
      failedBlocks: [UInt32] = [], message: String = ""
    ) {
      self.id = id
      self.status = status
      self.byteCount = byteCount
      self.nanoseconds = nanoseconds
      self.wrongByteCount = wrongByteCount
      self.failedBlocks = failedBlocks
      self.message = message
    }

    /// A part that was never sent.
    init(failing id: JobID, _ error: RoostError) {
      self.init(id: id, status: .failed, message: error.message)
    }
  }

  enum Kind: UInt8 {
    case job = 1, cancel, ended, fill, verify, stop
    case hello = 16
    case welcome, serves, withdraw, reported
  }

  /// The message as bytes.
  func encoded() -> [UInt8] {
    var writer = WireWriter()
    switch self {
    case .job(let id, let verb, let group, let blocks):
      writer.put(Kind.job.rawValue)
      writer.put(id.rawValue)
      writer.put(verb.rawValue)
      writer.put(UInt16(group))
      writer.put(UInt32(blocks.count))
      blocks.withUnsafeBytes { writer.put(bytes: $0) }
    case .cancel(let id):
      writer.put(Kind.cancel.rawValue)
      writer.put(id.rawValue)
    case .ended(let report):
      writer.put(Kind.ended.rawValue)
      report.encode(into: &writer)
    case .fill(let id, let probes), .verify(let id, let probes):
      if case .fill = self { writer.put(Kind.fill.rawValue) } else { writer.put(Kind.verify.rawValue) }
      writer.put(id.rawValue)
      writer.put(UInt32(probes.count))
      for probe in probes {
        writer.put(probe.block)
        writer.put(probe.seed)
      }
    case .stop:
      writer.put(Kind.stop.rawValue)
    case .hello, .welcome, .serves, .withdraw, .reported: encodeLease(into: &writer)
    }
    return writer.bytes
  }

  /// Reads a message; nil for anything that is not exactly one.
  init?(decoding bytes: UnsafeRawBufferPointer) {
    var reader = WireReader(bytes)
    guard let kind = reader.take(UInt8.self).flatMap(Kind.init(rawValue:)) else { return nil }
    guard let message = WorkerMessage.body(of: kind, from: &reader), reader.isAtEnd else { return nil }
    self = message
  }

  private static func body(of kind: Kind, from reader: inout WireReader) -> WorkerMessage? {
    switch kind {
    case .stop: return .stop
    case .hello, .welcome, .serves, .withdraw, .reported: return leaseBody(of: kind, from: &reader)
    case .ended: return JobReport(from: &reader).map { .ended($0) }
    case .cancel: return reader.take(UInt64.self).map { .cancel(JobID(rawValue: $0)) }
    case .job:
      guard let id = reader.take(UInt64.self), let verb = reader.take(UInt8.self).flatMap(CopyVerb.init(rawValue:)),
        let group = reader.take(UInt16.self), let count = reader.takeCount(stride: 12),
        let raw = reader.take(byteCount: count * 12)
      else { return nil }
      let blocks = [BlockCopy](unsafeUninitializedCapacity: count) { buffer, filled in
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: raw)
        filled = count
      }
      return .job(id: JobID(rawValue: id), verb: verb, group: Int(group), blocks: blocks)
    case .fill, .verify:
      guard let id = reader.take(UInt64.self), let count = reader.takeCount(stride: 12) else { return nil }
      var probes: [PatternProbe] = []
      probes.reserveCapacity(count)
      for _ in 0..<count {
        guard let block = reader.take(UInt32.self), let seed = reader.take(UInt64.self) else { return nil }
        probes.append(PatternProbe(block: block, seed: seed))
      }
      let job = JobID(rawValue: id)
      return kind == .fill ? .fill(id: job, probes: probes) : .verify(id: job, probes: probes)
    }
  }
}

extension WorkerMessage.JobReport {
  fileprivate func encode(into writer: inout WireWriter) {
    writer.put(id.rawValue)
    writer.put(status.rawValue)
    writer.put(UInt64(byteCount))
    writer.put(nanoseconds)
    writer.put(UInt64(wrongByteCount))
    writer.put(UInt32(failedBlocks.count))
    for block in failedBlocks { writer.put(block) }
    let text = Array(message.utf8.prefix(Limits.reportMessageByteCountMax))
    writer.put(UInt32(text.count))
    text.withUnsafeBytes { writer.put(bytes: $0) }
  }

  fileprivate init?(from reader: inout WireReader) {
    guard let id = reader.take(UInt64.self), let status = reader.take(UInt8.self).flatMap(Status.init(rawValue:)),
      let byteCount = reader.take(UInt64.self), let nanoseconds = reader.take(UInt64.self),
      let wrongByteCount = reader.take(UInt64.self), byteCount <= UInt64(Int.max), wrongByteCount <= UInt64(Int.max),
      let failedCount = reader.takeCount(stride: 4)
    else { return nil }
    var failed: [UInt32] = []
    for _ in 0..<failedCount {
      guard let block = reader.take(UInt32.self) else { return nil }
      failed.append(block)
    }
    guard let textCount = reader.takeCount(stride: 1), let text = reader.take(byteCount: textCount) else { return nil }
    self.init(
      id: JobID(rawValue: id), status: status, byteCount: Int(byteCount), nanoseconds: nanoseconds,
      wrongByteCount: Int(wrongByteCount), failedBlocks: failed, message: String(decoding: text, as: UTF8.self))
  }
}
