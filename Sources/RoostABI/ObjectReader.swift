import RoostConsole
import RoostPrimitives

/// Takes the members of a JSON object one by one; what nobody took is an error that proposes what was meant.
struct ObjectReader {
  private var members: [String: JSONValue]
  private var known: [String] = []
  private let name: String

  init(_ value: JSONValue, _ name: String) throws(RoostError) {
    guard let list = value.members else { throw RoostError(.invalidInput, "\(name) must be a JSON object") }
    members = Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0.value) })
    self.name = name
  }

  /// The member, nil if it is absent or null.
  mutating func take(_ key: String) -> JSONValue? {
    known.append(key)
    let value = members.removeValue(forKey: key)
    return value == .null ? nil : value
  }

  mutating func require(_ key: String) throws(RoostError) -> JSONValue {
    if let value = take(key) { return value }
    let meant = nearest(to: key, among: members.keys.sorted()).map { "; did you mean it by '\($0)'?" } ?? ""
    throw RoostError(.invalidInput, "\(name) needs '\(key)'\(meant)")
  }

  mutating func text(_ key: String) throws(RoostError) -> String? {
    guard let value = take(key) else { return nil }
    guard let text = value.text else { throw wrong(key, "text") }
    return text
  }

  mutating func flag(_ key: String) throws(RoostError) -> Bool? {
    guard let value = take(key) else { return nil }
    guard let flag = value.bool else { throw wrong(key, "true or false") }
    return flag
  }

  mutating func count(_ key: String) throws(RoostError) -> Int? {
    guard let value = take(key) else { return nil }
    guard let count = value.int, count >= 0 else { throw wrong(key, "a whole number that is not negative") }
    return count
  }

  mutating func number(_ key: String) throws(RoostError) -> Double? {
    guard let value = take(key) else { return nil }
    guard let number = value.double else { throw wrong(key, "a number") }
    return number
  }

  mutating func list(_ key: String) throws(RoostError) -> [JSONValue]? {
    guard let value = take(key) else { return nil }
    guard let list = value.elements else { throw wrong(key, "a list") }
    return list
  }

  func wrong(_ key: String, _ expected: String) -> RoostError {
    RoostError(.invalidInput, "'\(key)' of \(name) must be \(expected)")
  }

  /// Refuses what is left.
  func finish() throws(RoostError) {
    guard let unknown = members.keys.min() else { return }
    let proposal = nearest(to: unknown, among: known).map { "; did you mean '\($0)'?" } ?? ""
    throw RoostError(
      .invalidInput, "\(name) has an unknown key '\(unknown)'\(proposal)",
      context: [("known", known.sorted().joined(separator: " "))])
  }
}
