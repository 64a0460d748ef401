import RoostPrimitives

/// Where a tier is and how it is set up, as a URI: `disk:///var/lib/roost?capacity=500GiB`.
public struct TierAddress: Hashable, Sendable {
  /// The kind of tier: what stands before `://`.
  public var scheme: String
  /// What stands between `://` and `?`: for a disk a path, for a server host, port and path.
  public var place: String
  /// The options behind `?`, by name.
  public var options: [String: String]

  /// Takes a URI apart. `%` and two hexadecimal digits stand for a byte.
  ///
  /// - Throws: `invalidInput` with what is wrong.
  public init(parsing text: String) throws(RoostError) {
    guard text.utf8.count <= Limits.addressLengthMax, let separator = text.firstRange(of: "://") else {
      throw TierAddress.malformed(text, "it has no '://'")
    }
    scheme = String(text[..<separator.lowerBound])
    guard !scheme.isEmpty, scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
      throw TierAddress.malformed(text, "the kind of tier must be letters and digits")
    }
    let parts = text[separator.upperBound...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    place = try TierAddress.decoded(parts[0], of: text)
    options = [:]
    for pair in parts.count > 1 ? parts[1].split(separator: "&") : [] {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, !sides[0].isEmpty else {
        throw TierAddress.malformed(text, "'\(pair)' is not NAME=VALUE")
      }
      let name = try TierAddress.decoded(sides[0], of: text)
      guard options.updateValue(try TierAddress.decoded(sides[1], of: text), forKey: name) == nil else {
        throw TierAddress.malformed(text, "'\(name)' stands there twice")
      }
    }
  }

  /// - Throws: `invalidInput` for an option that is not among `known`; the message lists those.
  public func refuseOptions(except known: [String]) throws(RoostError) {
    guard let unknown = options.keys.filter({ !known.contains($0) }).min() else { return }
    throw RoostError(
      .invalidInput,
      "a tier of the kind '\(scheme)' has no option '\(unknown)'; it has: \(known.joined(separator: ", "))")
  }

  /// The size in an option, nil if it is not there.
  public func size(_ name: String) throws(RoostError) -> ByteCount? {
    guard let text = options[name] else { return nil }
    return try ByteCount(parsing: text)
  }

  private static func malformed(_ text: String, _ reason: String) -> RoostError {
    RoostError(
      .invalidInput,
      "'\(text.prefix(200))' is not the address of a tier: \(reason); write for one "
        + "disk:///var/lib/roost?capacity=500GiB")
  }

  private static func decoded(_ text: Substring, of whole: String) throws(RoostError) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, digits.allSatisfy({ $0.isHexDigit }), let value = UInt8(digits, radix: 16),
        value != 0
      else { throw malformed(whole, "'%' must be followed by two hexadecimal digits that are not 00") }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
