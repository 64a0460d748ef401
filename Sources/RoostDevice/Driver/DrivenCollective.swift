import RoostPrimitives

/// A driver's membership in a group of devices. Left with its last reference.
public protocol DriverGroup: AnyObject, Sendable {
  /// See `Collective`.
  func allReduceSum(address: UInt, count: Int, on stream: DriverHandle) throws(RoostError)
  /// See `Collective`.
  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: DriverHandle) throws(RoostError)
}

/// A group of driven devices. What the driver refuses makes the stream fail, as a copy would.
final class DrivenCollective: Collective {
  let rank: Int
  let rankCount: Int
  private let group: any DriverGroup
  private let session: DriverSession

  init(_ group: any DriverGroup, rank: Int, of rankCount: Int, in session: DriverSession) {
    self.group = group
    self.rank = rank
    self.rankCount = rankCount
    self.session = session
  }

  func allReduceSum(address: UInt, count: Int, on stream: any DeviceStream) throws(RoostError) {
    guard count >= 0, count < Int.max / 4 else { throw RoostError(.invalidInput, "cannot reduce \(count) numbers") }
    let stream = try mine(stream)
    if count == 0 { return }
    stream.work(at: address, byteCount: count * 4) { (_) throws(RoostError) in
      try group.allReduceSum(address: address, count: count, on: stream.handle)
    }
  }

  func allGather(source: UInt, target: UInt, byteCount: Int, on stream: any DeviceStream) throws(RoostError) {
    guard byteCount >= 0, byteCount < Int.max / rankCount else {
      throw RoostError(.invalidInput, "cannot gather \(byteCount) bytes")
    }
    let stream = try mine(stream)
    if byteCount == 0 { return }
    stream.work(at: source, byteCount: byteCount) { (_) throws(RoostError) in
      try group.allGather(source: source, target: target, byteCount: byteCount, on: stream.handle)
    }
  }

  private func mine(_ stream: any DeviceStream) throws(RoostError) -> DrivenStream {
    guard let stream = stream as? DrivenStream, stream.session === session else {
      throw RoostError(.invalidInput, "the stream belongs to another device than \(session.description.uri)")
    }
    return stream
  }
}
