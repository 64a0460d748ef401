/// A JSON value as RFC 8259 knows it. Integers of 64 bits are kept exactly.
public indirect enum JSONValue: Sendable, Equatable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number without fraction and exponent that fits 64 bits with a sign.
  case integer(Int64)
  /// A number without fraction and exponent that only fits 64 bits without a sign.
  case unsigned(UInt64)
  /// Any other number, rounded to the nearest double.
  case number(Double)
  /// Text.
  case string(String)
  /// Values in order.
  case array([JSONValue])
  /// Named values in the order in which they were written; names are unique.
  case object([JSONMember])

  /// An object with the given members, in this order.
  public static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
    .object(members.map { JSONMember($0.key, $0.value) })
  }

  /// A number that counts something.
  public static func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }

  /// The member of an object by name, nil if there is none or this is no object. Takes time in proportion to the
  /// members.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The elements of an array, nil for anything else.
  public var elements: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// The members of an object, nil for anything else.
  public var members: [JSONMember]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// The text of a string, nil for anything else.
  public var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The number as an `Int`, nil for anything that is not exactly one.
  public var int: Int? {
    switch self {
    case .integer(let value): Int(value)
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number, rounded to a double where it must be, nil for anything else.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The truth value, nil for anything else.
  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }
}

/// A named value of a JSON object.
public struct JSONMember: Sendable, Equatable {
  /// The name.
  public var name: String
  /// The value.
  public var value: JSONValue

  /// Names a value.
  public init(_ name: String, _ value: JSONValue) {
    self.name = name
    self.value = value
  }
}
