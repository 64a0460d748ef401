import RoostConsole
import RoostPrimitives

@testable import RoostReplay

/// Reads a trace's line through the general JSON reader: slow, obvious, independent of the hand parser.
enum LineOracle {
  static func read(_ line: [UInt8]) -> TraceRequest? {
    guard let value = try? line.withUnsafeBytes({ try JSONValue(parsing: $0) }), value.members != nil,
      let time = value["timestamp"]?.double, time >= 0, time < 9e18, let input = whole(value["input_length"]),
      let output = whole(value["output_length"]), let list = value["hash_ids"]?.elements
    else { return nil }
    var request = TraceRequest()
    request.milliseconds = Int(time)
    request.inputTokenCount = input
    request.outputTokenCount = output
    switch value["session"] {
    case nil, .null?: break
    case let session?:
      guard let number = whole(session) else { return nil }
      request.session = number
    }
    for element in list {
      guard let id = whole(element) else { return nil }
      request.ids.append(UInt64(id))
    }
    return request
  }

  private static func whole(_ value: JSONValue?) -> Int? {
    guard case .integer(let number)? = value, number >= 0 else { return nil }
    return Int(number)
  }
}

/// Lines of a trace with a few bytes changed.
enum DamagedLine {
  static func make(_ random: inout SplitMix64) -> [UInt8] {
    var fields = [
      "\"timestamp\":\(number(&random))", "\"input_length\":\(number(&random))", "\"output_length\":\(number(&random))",
      "\"hash_ids\":[\((0..<Int.random(in: 0...3, using: &random)).map { _ in number(&random) }.joined(separator: ","))]",
    ]
    let extras = [
      "\"session\":null", "\"session\":\(number(&random))", "\"x\":[{\"a\":\"]\"},1]", "\"y\":\"q\\\"}\"", "\"z\":{}",
      "\"timestamp\":1", "\"s\\u0065ssion\":5",
    ]
    fields += extras.shuffled(using: &random).prefix(Int.random(in: 0...2, using: &random))
    fields.shuffle(using: &random)
    var bytes = Array("{\(fields.joined(separator: ","))}".utf8)
    let alphabet = Array("{}[]\",:\\0159eE.- nx".utf8) + [0x00, 0x0B, 0xC3, 0xFF]
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[place] = byte
      case 1: bytes.insert(byte, at: place)
      default: bytes.remove(at: place)
      }
    }
    return bytes
  }

  private static func number(_ random: inout SplitMix64) -> String {
    switch Int.random(in: 0..<12, using: &random) {
    case 0: "\(random.next())"
    case 1: "\(random.next() >> 1)"
    case 2: "0\(random.next() % 10)"
    default: "\(random.next() >> UInt64.random(in: 1...63, using: &random))"
    }
  }
}
