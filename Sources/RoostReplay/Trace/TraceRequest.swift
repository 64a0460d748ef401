import RoostPrimitives

/// One request of a trace. Reused from request to request, so that reading allocates nothing.
public struct TraceRequest: Sendable, Equatable {
  /// When it arrived, in milliseconds since the trace began.
  public var milliseconds: Int = 0
  /// Tokens of the prompt.
  public var inputTokenCount: Int = 0
  /// Tokens of the answer.
  public var outputTokenCount: Int = 0
  /// Which conversation it belongs to, nil if the trace does not say.
  public var session: Int?
  /// The ids of its blocks, head first. Prefix-chained: an id always has the same predecessor.
  public var ids: [UInt64] = []

  /// Makes an empty request.
  public init() {}

  mutating func clear() {
    milliseconds = 0
    inputTokenCount = 0
    outputTokenCount = 0
    session = nil
    ids.removeAll(keepingCapacity: true)
  }
}

/// Requests in the order of their arrival: a trace from a file, or a generator. Not thread-safe.
public protocol RequestStream: AnyObject {
  /// What it is, for people: a file's name, or the generator's.
  var name: String { get }
  /// How many requests there will be, nil if that is not known beforehand.
  var requestCount: Int? { get }
  /// Replaces `request` with the next one; false at the end.
  ///
  /// - Throws: `invalidInput` for input that cannot be read, with the line number where there is one.
  func next(into request: inout TraceRequest) throws(RoostError) -> Bool
}
