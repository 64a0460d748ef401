import DeviceCPU
import Foundation
import RoostDevice
import RoostPrimitives
import Testing

/// Members that reduce and gather over shared memory, in this process and in others: the sums are right, and whoever
/// fails, ends or is killed leaves an error behind and nobody waiting.
@Suite struct CollectiveTests {
  @Test(arguments: [1, 2, 3, 5]) func membersOfOneProcessReduceAndGather(memberCount: Int) throws {
    let name = Self.name()
    let members = try (0..<memberCount).map { try Member(rank: $0, of: memberCount, name) }
    for count in [0, 1, 1000, 200_000, 3] {
      for member in members { try member.submit(count) }
      for member in members { try member.expectResults(count) }
    }
  }

  @Test func membersOfSeveralProcessesReduceAndGather() throws {
    let name = Self.name()
    let probes = try (1..<3).map { try DeviceProbeProcess(["group", name, "\($0)", "3"]) }
    let member = try Member(rank: 0, of: 3, name)
    for count in [1, 100_000, 7] {
      for probe in probes { try probe.say("\(count)") }
      try member.submit(count)
      try member.expectResults(count)
      for probe in probes { #expect(try probe.line() == "right") }
    }
  }

  @Test func aMemberThatIsKilledIsAnErrorAndNoHang() throws {
    let name = Self.name()
    let probe = try DeviceProbeProcess(["group", name, "1", "2"])
    let member = try Member(rank: 0, of: 2, name)
    try probe.say("10")
    try member.submit(10)
    try member.expectResults(10)
    #expect(try probe.line() == "right")
    probe.kill()
    try member.submit(10)
    let error = #expect(throws: RoostError.self) { try member.stream.wait(until: .after(seconds: 60)) }
    #expect(error?.code == .lost && error?.message.contains("rank 1") == true, "\(error as Any)")
    // The name is free when the last has left, whatever the killed one left behind.
    try member.leave()
    let next = try Member(rank: 0, of: 1, name)
    try next.submit(5)
    try next.expectResults(5)
  }

  @Test func aMemberThatNeverComesIsATimeout() throws {
    let member = try Member(rank: 0, of: 2, Self.name(), seconds: 0.05)
    try member.submit(1)
    let error = #expect(throws: RoostError.self) { try member.stream.wait(until: .after(seconds: 60)) }
    #expect(error?.code == .timedOut && error?.message.contains("rank 1 has not joined") == true, "\(error as Any)")
  }

  @Test func membersThatDisagreeFailAllOfThem() throws {
    let name = Self.name()
    let members = try (0..<3).map { try Member(rank: $0, of: 3, name) }
    for (index, member) in members.enumerated() { try member.submit(index == 1 ? 20 : 10) }
    let codes = members.map { member in
      #expect(throws: RoostError.self) { try member.stream.wait(until: .after(seconds: 60)) }?.code
    }
    #expect(codes.contains(.invalidInput) && codes.allSatisfy { $0 == .invalidInput || $0 == .lost }, "\(codes)")
  }

  @Test func aStreamThatHasFailedTakesItsGroupAlong() throws {
    let name = Self.name()
    let (failing, other) = (try Member(rank: 0, of: 2, name), try Member(rank: 1, of: 2, name))
    try failing.stream.copy(CopyPiece(source: 0, target: 0, byteCount: 16), .deviceToHost)
    try failing.submit(10)
    try other.submit(10)
    let error = #expect(throws: RoostError.self) { try other.stream.wait(until: .after(seconds: 60)) }
    #expect(error?.code == .lost && error?.message.contains("rank 0") == true, "\(error as Any)")
  }

  @Test func aRankIsTakenOnceAndANumberOfMembersHolds() throws {
    let name = Self.name()
    let member = try Member(rank: 0, of: 2, name, seconds: 0.05)
    let twice = #expect(throws: RoostError.self) { try Member(rank: 0, of: 2, name) }
    #expect(twice?.code == .busy, "\(twice as Any)")
    let more = #expect(throws: RoostError.self) { try Member(rank: 1, of: 3, name) }
    #expect(more?.code == .invalidInput, "\(more as Any)")
    let many = #expect(throws: RoostError.self) { try Member(rank: 0, of: 65, name) }
    #expect(many?.code == .invalidInput, "\(many as Any)")
    try member.leave()
    // The last one to leave frees the name.
    let next = try Member(rank: 1, of: 3, name)
    try next.leave()
  }

  /// A name that no other test has.
  private static func name() -> String { "collective test \(UUID())" }
}

/// A member with a device, a stream and memory of its own.
private final class Member {
  let stream: any DeviceStream
  private let device: CPUDevice
  private var group: (any Collective)?
  private let rank: Int
  private let memberCount: Int
  private let numbers: DeviceMemory
  private let gathered: DeviceMemory
  private static let countMax = 200_000

  init(rank: Int, of memberCount: Int, _ name: String, seconds: Double = 60) throws {
    var configuration = CPUDeviceConfiguration()
    configuration.collectiveSeconds = seconds
    device = try CPUDevice(configuration)
    group = try device.makeCollective(rank: rank, rankCount: memberCount, rendezvous: name)
    stream = try device.makeStream(priority: .normal)
    (self.rank, self.memberCount) = (rank, memberCount)
    numbers = try device.allocate(byteCount: Self.countMax * 4)
    gathered = try device.allocate(byteCount: Self.countMax * 4 * memberCount)
  }

  /// Multiples of an eighth below 2^21: their sums are exact in any order.
  private static func number(_ index: Int, of rank: Int) -> Float { Float((index * 7 + rank * 13) % 1000) / 8 }

  private var bytes: UnsafeMutableRawBufferPointer {
    HostMemory(address: numbers.address, byteCount: numbers.byteCount).bytes
  }

  func submit(_ count: Int) throws {
    for index in 0..<count {
      bytes.storeBytes(of: Self.number(index, of: rank), toByteOffset: index * 4, as: Float.self)
    }
    try group?.allGather(source: numbers.address, target: gathered.address, byteCount: count * 4, on: stream)
    try group?.allReduceSum(address: numbers.address, count: count, on: stream)
  }

  func expectResults(_ count: Int) throws {
    try stream.wait(until: .after(seconds: 60))
    let all = HostMemory(address: gathered.address, byteCount: gathered.byteCount).bytes
    var wrong = 0
    for index in 0..<count {
      var sum: Float = 0
      for other in 0..<memberCount {
        let number = Self.number(index, of: other)
        sum += number
        let seen = all.load(fromByteOffset: (other * count + index) * 4, as: Float.self)
        if seen != number { wrong += 1 }
      }
      if bytes.load(fromByteOffset: index * 4, as: Float.self) != sum { wrong += 1 }
    }
    #expect(wrong == 0, "\(wrong) of \(count) numbers are wrong for rank \(rank) of \(memberCount)")
  }

  func leave() throws {
    try? stream.wait(until: .after(seconds: 60))
    group = nil
  }
}
