import RoostPrimitives

/// A trace in memory, to be replayed several times: 4 bytes a block reference and 16 a distinct block. Immutable.
public final class RecordedTrace: Sendable {
  /// The name of the stream that it was read from.
  public let name: String
  /// How many different blocks its requests have.
  public var uniqueCount: Int { ids.count }
  /// How many requests it has.
  public var requestCount: Int { requests.count }

  /// One request; its blocks are a range of `references`.
  struct Entry: Sendable {
    var milliseconds: Int
    var inputTokenCount: Int
    var outputTokenCount: Int
    var session: Int?
    var blocks: Range<Int>
  }

  let requests: [Entry]
  /// Numbers of blocks, dense, in order of appearance.
  let references: [UInt32]
  /// The ids of the numbers.
  let ids: [UInt64]

  /// Reads a stream to its end, or to the first `limit` requests.
  ///
  /// - Throws: what the stream throws, and `outOfResources` for a trace that is too long.
  public init(_ stream: any RequestStream, limit: Int? = nil) throws(RoostError) {
    var requests: [Entry] = []
    var references: [UInt32] = []
    var ids: [UInt64] = []
    var numbers: [UInt64: UInt32] = [:]
    var request = TraceRequest()
    while requests.count < limit ?? .max, try stream.next(into: &request) {
      guard references.count + request.ids.count <= Limits.recordedReferenceCountMax else {
        throw RoostError(
          .outOfResources, "\(stream.name) is too long to be compared; give --requests N to look at its beginning")
      }
      let first = references.count
      for id in request.ids {
        let number = numbers[id] ?? UInt32(ids.count)
        if number == ids.count {
          numbers[id] = number
          ids.append(id)
        }
        references.append(number)
      }
      requests.append(
        Entry(
          milliseconds: request.milliseconds, inputTokenCount: request.inputTokenCount,
          outputTokenCount: request.outputTokenCount, session: request.session, blocks: first..<references.count))
    }
    name = stream.name
    self.requests = requests
    self.references = references
    self.ids = ids
  }

  /// The requests from the first one on.
  public func stream() -> any RequestStream { RecordedStream(self) }
}

/// Goes through a recorded trace once. Not thread-safe.
private final class RecordedStream: RequestStream {
  private let trace: RecordedTrace
  private var position = 0

  init(_ trace: RecordedTrace) { self.trace = trace }

  var name: String { trace.name }
  var requestCount: Int? { trace.requestCount }

  func next(into request: inout TraceRequest) throws(RoostError) -> Bool {
    guard position < trace.requests.count else { return false }
    let entry = trace.requests[position]
    position += 1
    request.clear()
    request.milliseconds = entry.milliseconds
    request.inputTokenCount = entry.inputTokenCount
    request.outputTokenCount = entry.outputTokenCount
    request.session = entry.session
    for number in trace.references[entry.blocks] { request.ids.append(trace.ids[Int(number)]) }
    return true
  }
}
