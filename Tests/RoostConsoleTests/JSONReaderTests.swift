import RoostConsole
import RoostPrimitives
import Testing

@Suite struct JSONReaderTests {
  private func failure(_ text: String) -> RoostError? {
    do throws(RoostError) {
      _ = try JSONValue(parsing: text)
      return nil
    } catch {
      return error
    }
  }

  @Test func readsEveryKindOfValue() throws {
    let value = try JSONValue(parsing: #" {"a":[1,-2.5e3,"x\n\u00e9\ud83d\ude00",true,false,null],"b":{}} "#)
    #expect(
      value
        == .object([
          "a": .array([.integer(1), .number(-2500), .string("x\né😀"), .bool(true), .bool(false), .null]),
          "b": .object([:]),
        ]))
  }

  @Test func keepsIntegersOf64BitsExactly() throws {
    #expect(try JSONValue(parsing: "-9223372036854775808") == .integer(.min))
    #expect(try JSONValue(parsing: "9223372036854775807") == .integer(.max))
    #expect(try JSONValue(parsing: "9223372036854775808") == .unsigned(1 << 63))
    #expect(try JSONValue(parsing: "18446744073709551615") == .unsigned(.max))
    #expect(try JSONValue(parsing: "18446744073709551616") == .number(18446744073709551616))
    #expect(try JSONValue(parsing: "9007199254740993").int == 9_007_199_254_740_993)
  }

  @Test(arguments: [
    "", " ", "{", "[", "[1,]", "[,1]", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\" 1}", "{\"a\":}", "[1 2]", "01", "-",
    "+1", ".5",
    "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "tru", "nulll", "True", "\"", "\"\\x\"", "\"\\u12\"",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "[1]]", "1 2", "// c\n1", "\u{FEFF}1", "{\"a\":1,\"a\":2}",
    "1e999", "[1", "{\"a\"",
  ])
  func refusesWhatIsNotStrictJSON(_ text: String) throws {
    #expect(failure(text)?.code == .invalidInput)
  }

  @Test func namesLineAndColumnOfWhatIsWrong() throws {
    let error = try #require(failure("{\n  \"a\": 1,\n  \"b\": tru\n}"))
    #expect(error.context.first { $0.name == "line" }?.value == "3")
    #expect(error.context.first { $0.name == "column" }?.value == "8")
  }

  @Test func refusesDeepNestingInsteadOfCrashing() throws {
    let atLimit = String(repeating: "[", count: 256) + String(repeating: "]", count: 256)
    #expect(failure(atLimit) == nil)
    #expect(failure("[" + atLimit + "]")?.message.contains("256 levels") == true)
    #expect(failure(String(repeating: "[{\"a\":", count: 100_000)) != nil)
  }

  @Test func refusesTextThatIsNotUTF8() throws {
    for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] as [[UInt8]] {
      #expect(throws: RoostError.self) { try bytes.withUnsafeBytes { try JSONValue(parsing: $0) } }
    }
  }
}

/// The reader and the writer against Python's.
@Suite struct JSONOracleTests {
  /// Python's reader, made as strict as RFC 8259 and as this reader's documentation.
  private static let strictReader = """
    import sys, json, math
    def pairs(items):
      names = [name for name, _ in items]
      if len(set(names)) != len(names): raise ValueError
      return dict(items)
    def number(text):
      value = float(text)
      if math.isinf(value): raise ValueError
      return value
    def integer(text):
      number(text); return int(text)
    def constant(text): raise ValueError
    def surrogates(value):
      if isinstance(value, str): value.encode('utf-8')
      elif isinstance(value, list): [surrogates(item) for item in value]
      elif isinstance(value, dict): [(surrogates(name), surrogates(item)) for name, item in value.items()]
    def read(data):
      value = json.loads(data.decode('utf-8'), object_pairs_hook=pairs, parse_float=number, parse_int=integer,
                         parse_constant=constant)
      surrogates(value)
      return value
    """

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test(.disabled(if: PythonOracle.isAbsent, "needs python3"))
  func acceptsAndRefusesDamagedTextExactlyAsPythonDoes() throws {
    let seed: UInt64 = 20_261
    var random = SplitMix64(seed: seed)
    let samples = (0..<30_000).map { _ in JSONOracleTests.damagedText(&random) }
    let script =
      JSONOracleTests.strictReader + """

        for line in sys.stdin:
          try:
            read(bytes.fromhex(line.strip())); print('y')
          except (ValueError, RecursionError): print('n')
        """
    let input = samples.map { JSONOracleTests.hex($0) + "\n" }.joined()
    let verdicts = try PythonOracle.run(script, input: Array(input.utf8)).split(separator: "\n")
    #expect(verdicts.count == samples.count)
    var accepted = 0
    for (sample, verdict) in zip(samples, verdicts) {
      let isAccepted = (try? sample.withUnsafeBytes { try JSONValue(parsing: $0) }) != nil
      accepted += isAccepted ? 1 : 0
      if isAccepted != (verdict == "y") { Issue.record("seed \(seed), bytes \(JSONOracleTests.hex(sample))") }
    }
    #expect(accepted > 1_000 && accepted < 29_000, "the samples must be of both kinds, \(accepted) were accepted")
  }

  @Test(.disabled(if: PythonOracle.isAbsent, "needs python3"), arguments: [false, true])
  func writesWhatPythonReadsBackAsTheSameValue(isPretty: Bool) throws {
    let seed: UInt64 = 7
    var random = SplitMix64(seed: seed)
    let values = (0..<2_000).map { _ in JSONOracleTests.randomValue(&random, depth: 0) }
    let script =
      JSONOracleTests.strictReader + """

        for line in sys.stdin: print(json.dumps(read(bytes.fromhex(line.strip()))))
        """
    let input = values.map { JSONOracleTests.hex(Array((isPretty ? $0.prettySerialized : $0.serialized).utf8)) + "\n" }
    let lines = try PythonOracle.run(script, input: Array(input.joined().utf8)).split(separator: "\n")
    #expect(lines.count == values.count)
    for (value, line) in zip(values, lines) {
      #expect(try JSONValue(parsing: String(line)) == value, "seed \(seed)")
    }
  }

  private static func damagedText(_ random: inout SplitMix64) -> [UInt8] {
    var bytes = Array(randomValue(&random, depth: 0).serialized.utf8)
    let alphabet = Array("{}[]\",:\\u0123dD8eE+-.tfn \n".utf8) + [0x00, 0x1F, 0x80, 0xC3, 0xED, 0xFF]
    for _ in 0..<Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[place] = byte
      case 1: bytes.insert(byte, at: place)
      case 2: bytes.remove(at: place)
      default: bytes.removeSubrange(place...)
      }
    }
    return bytes
  }

  private static func randomText(_ random: inout SplitMix64) -> String {
    let letters = Array("ab\"\\/\n\t\u{1}\u{7F}é😀\u{2028}0")
    return String((0..<Int.random(in: 0...6, using: &random)).map { _ in letters.randomElement(using: &random) ?? "a" })
  }

  static func randomValue(_ random: inout SplitMix64, depth: Int) -> JSONValue {
    switch Int.random(in: 0..<(depth < 4 ? 9 : 6), using: &random) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &random))
    case 2: return .integer(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random))
    case 3: return .unsigned(random.next() | 1 << 63)
    case 4:
      let value = Double(bitPattern: random.next())
      // Python writes whole doubles above 2^53 with an exponent, which is still a double here.
      return .number(value.isFinite ? value : 0.1)
    case 5: return .string(randomText(&random))
    case 6, 7:
      return .array((0..<Int.random(in: 0...4, using: &random)).map { _ in randomValue(&random, depth: depth + 1) })
    default:
      var members: [JSONMember] = []
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        let name = randomText(&random)
        guard !members.contains(where: { $0.name == name }) else { continue }
        members.append(JSONMember(name, randomValue(&random, depth: depth + 1)))
      }
      return .object(members)
    }
  }
}
