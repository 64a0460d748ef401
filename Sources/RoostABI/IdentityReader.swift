import CRoostABI
import RoostConsole
import RoostPrimitives

/// Makes an identity of named fields.
enum IdentityReader {
  private static let names = [
    "weights", "data_type", "quantisation", "rope", "adapter", "salt", "weights_epoch", "hash_scheme",
    "tokens_per_block", "opaque_format",
  ]

  static func read(_ pointer: UnsafePointer<roost_field>?, count: Int) throws(RoostError) -> Identity {
    let fields: [roost_field] = try Arguments.structures(pointer, count: count, max: Limits.fieldCountMax, "fields")
    var identity = Identity(weights: [], dataType: "", hashScheme: "", tokensPerBlock: 0)
    var seen: Set<String> = []
    for field in fields {
      let name = try Arguments.text(field.name, byteCount: field.name_bytes, "name")
      guard seen.insert(name).inserted else {
        throw RoostError(.invalidInput, "the identity's field '\(name)' stands there twice")
      }
      let bytes = try Arguments.bytes(field.bytes, count: field.byte_count, max: Limits.fieldByteCountMax, "bytes")
      try set(name, Array(bytes), &identity)
    }
    return identity
  }

  private static func set(_ name: String, _ bytes: [UInt8], _ identity: inout Identity) throws(RoostError) {
    switch name {
    case "weights": identity.weights = bytes
    case "data_type": identity.dataType = try text(bytes, name)
    case "quantisation": identity.quantisation = try text(bytes, name)
    case "rope": identity.rope = try text(bytes, name)
    case "adapter": identity.adapter = bytes
    case "salt": identity.salt = bytes
    case "weights_epoch": identity.weightsEpoch = try number(bytes, name)
    case "hash_scheme": identity.hashScheme = try text(bytes, name)
    case "tokens_per_block": identity.tokensPerBlock = try number(bytes, name)
    case "opaque_format": identity.opaqueFormat = bytes
    default:
      let proposal = nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
      throw RoostError(.invalidInput, "an identity has no field '\(name)'\(proposal)")
    }
  }

  private static func text(_ bytes: [UInt8], _ name: String) throws(RoostError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw RoostError(.invalidInput, "the identity's field '\(name)' is not UTF-8")
    }
    return text
  }

  private static func number<Number: FixedWidthInteger>(
    _ bytes: [UInt8], _ name: String
  ) throws(RoostError) -> Number {
    guard let number = Number(try text(bytes, name)) else {
      throw RoostError(.invalidInput, "the identity's field '\(name)' is not a decimal number in range")
    }
    return number
  }
}
