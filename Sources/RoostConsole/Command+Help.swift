/// The help text: made from the same table that the parser reads, so that it cannot lie.
extension Command {
  /// The whole help text of the command.
  ///
  /// - Parameters:
  ///   - path: how the command is called, the program's name first: `roost replay`.
  ///   - columns: where to wrap.
  public func help(path: String, columns: Int) -> String {
    let width = min(max(columns, Limits.helpColumns.lowerBound), Limits.helpColumns.upperBound)
    var text = "\(path): \(summary)\n\nUsage: \(usage(path: path))\n"
    for paragraph in discussion { text += "\n" + wrap(paragraph, indent: 0, columns: width) }
    text += section("Commands", subcommands.map { ($0.name, $0.summary) }, width)
    text += section("Arguments", operands.map { ($0.name, $0.help) }, width)
    let help = CommandOption.flag(
      "help", subcommands.isEmpty ? "Show this text." : "Show this text, or that of a command.")
    text += section("Options", (options + [help]).map { ($0.usage, $0.help) }, width)
    if let topic { text += section(topic.title, topic.rows.map { ($0.name, $0.meaning) }, width) }
    if !examples.isEmpty {
      text += "\nExamples:\n"
      for example in examples {
        text += "  \(example.line)\n" + wrap(example.effect, indent: 6, columns: width)
      }
    }
    return text
  }

  private func usage(path: String) -> String {
    if !subcommands.isEmpty { return "\(path) COMMAND [OPTIONS]" }
    let places = operands.map { $0.isOptional ? " [\($0.name)]" : " \($0.name)" }.joined()
    return path + places + " [OPTIONS]"
  }

  private func section(_ title: String, _ rows: [(left: String, right: String)], _ columns: Int) -> String {
    guard !rows.isEmpty else { return "" }
    var text = "\n\(title):\n"
    // A left side that is too long for the column stands on a line of its own.
    let indent = min(rows.map(\.left.count).max() ?? 0, 26) + 4
    for row in rows {
      let wrapped = wrap(row.right, indent: indent, columns: columns)
      if row.left.count + 4 > indent {
        text += "  \(row.left)\n" + wrapped
      } else {
        let left = "  " + row.left
        text += left + String(wrapped.dropFirst(left.count))
      }
    }
    return text
  }
}

/// `text` broken at spaces into lines of at most `columns` columns, each after `indent` spaces, with a last newline.
func wrap(_ text: String, indent: Int, columns: Int) -> String {
  let margin = String(repeating: " ", count: indent)
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if line.isEmpty {
      line = String(word)
    } else if indent + line.count + 1 + word.count <= columns {
      line += " " + word
    } else {
      lines.append(line)
      line = String(word)
    }
  }
  lines.append(line)
  return lines.map { margin + $0 + "\n" }.joined()
}
