import RoostPrimitives

/// What was typed after the name of a command, checked against its table.
public struct Arguments: Sendable {
  /// The operands in their order.
  public internal(set) var operands: [String] = []
  private var values: [String: String] = [:]
  private var repeated: [String: [String]] = [:]
  private var switches: [String: Bool] = [:]

  /// Sorts `words` into options and operands.
  ///
  /// An option that is given twice counts as it was given last, except to `list`. `--` ends the options, `-` alone is an operand (standard
  /// input).
  ///
  /// - Throws: `invalidInput` that names the word and, where one is near, the option that was meant.
  public init(parsing words: [String], for command: Command) throws(RoostError) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        operands += rest
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        operands.append(word)
        continue
      }
      try take(option: word, &rest, for: command)
    }
    try checkOperands(of: command)
  }

  /// The value of an option as it was typed, nil if it was not given.
  public func text(_ name: String) -> String? { values[name] }

  /// The values of an option that may be given several times or with commas; empty if it was not given.
  ///
  /// - Throws: `invalidInput` for an empty value.
  public func list(_ name: String) throws(RoostError) -> [String] {
    var result: [String] = []
    for text in repeated[name] ?? [] {
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        guard !part.isEmpty else { throw RoostError(.invalidInput, "--\(name) has an empty value in '\(text)'") }
        result.append(String(part))
      }
    }
    return result
  }

  /// Whether a flag was given, or how a toggle stands; nil if it was not given.
  public func isOn(_ name: String) -> Bool? { switches[name] }

  /// The value of an option as a whole number within `range`, nil if it was not given.
  ///
  /// - Throws: `invalidInput` that names option, value and range.
  public func integer(_ name: String, in range: ClosedRange<Int>) throws(RoostError) -> Int? {
    guard let text = values[name] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      let bounds =
        range.upperBound == .max ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
      throw RoostError(.invalidInput, "--\(name) takes a whole number \(bounds), not '\(text)'")
    }
    return number
  }

  /// The value of an option as a 64-bit number without a sign, nil if it was not given.
  ///
  /// - Throws: `invalidInput` that names option and value.
  public func seed(_ name: String) throws(RoostError) -> UInt64? {
    guard let text = values[name] else { return nil }
    guard let number = UInt64(text) else {
      throw RoostError(.invalidInput, "--\(name) takes a whole number from 0 to \(UInt64.max), not '\(text)'")
    }
    return number
  }

  /// The value of an option as a size such as `4GiB`, nil if it was not given.
  ///
  /// - Throws: `invalidInput` that names option and value; a size of nothing is refused too.
  public func byteCount(_ name: String) throws(RoostError) -> ByteCount? {
    guard let text = values[name] else { return nil }
    do throws(RoostError) {
      let count = try ByteCount(parsing: text)
      guard count.bytes > 0 else { throw RoostError(.invalidInput, "'\(text)' is no size to work with") }
      return count
    } catch {
      throw RoostError(.invalidInput, "--\(name): \(error.message)")
    }
  }

  private mutating func take(
    option word: String, _ rest: inout ArraySlice<String>, for command: Command
  ) throws(RoostError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let typed = String(parts[0])
    let attached = parts.count == 2 ? String(parts[1]) : nil
    guard let (option, isOn) = command.option(typed: typed) else {
      throw RoostError(.invalidInput, "unknown option '\(typed)'" + suggestion(for: typed, among: command.typedOptions))
    }
    guard case .value(let shape) = option.kind else {
      if let attached {
        throw RoostError(.invalidInput, "\(typed) takes no value, but was given '\(attached)'")
      }
      switches[option.name] = isOn
      return
    }
    guard let value = attached ?? rest.first, attached != nil || !value.hasPrefix("--") else {
      throw RoostError(.invalidInput, "\(typed) needs a value: \(typed) \(shape)")
    }
    if attached == nil { rest.removeFirst() }
    values[option.name] = value
    repeated[option.name, default: []].append(value)
  }

  private func checkOperands(of command: Command) throws(RoostError) {
    if operands.count > command.operands.count {
      let extra = operands[command.operands.count]
      let known =
        command.operands.isEmpty ? "takes none" : "takes " + command.operands.map(\.name).joined(separator: " ")
      throw RoostError(.invalidInput, "unexpected argument '\(extra)': the command \(known)")
    }
    if operands.count < command.operands.count, !command.operands[operands.count].isOptional {
      let missing = command.operands[operands.count]
      throw RoostError(.invalidInput, "\(missing.name) is missing: \(missing.help)")
    }
  }
}

extension Command {
  /// The option that a word with dashes means, and what the word says about a flag or toggle.
  func option(typed: String) -> (option: CommandOption, isOn: Bool)? {
    for option in options {
      if typed == "--" + option.name { return (option, true) }
      if case .toggle = option.kind, typed == "--no-" + option.name { return (option, false) }
    }
    return nil
  }

  /// Every option as it is typed.
  var typedOptions: [String] {
    options.flatMap { option -> [String] in
      if case .toggle = option.kind { return ["--\(option.name)", "--no-\(option.name)"] }
      return ["--\(option.name)"]
    } + ["--help"]
  }
}
