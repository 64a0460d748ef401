import RoostConsole
import RoostLayout
import RoostLayoutText
import RoostPrimitives

/// `roost layout`: what the layout algebra says about a layout, or about a file of cases.
enum LayoutCommand {
  static var command: Command {
    var command = Command(
      "layout", summary: "explain where bytes lie, and what a copy between layouts takes",
      subcommands: [evalCommand, showCommand])
    command.discussion = [
      """
      A layout says where every (layer, head, token, ...) of a cache lies: named axes with extents and byte strides, an \
      item size and an offset. As JSON: {"axes": [["block", 3, 512], ["head", 2, 128], ["dim", 64, 2]], "itemsize": 2, \
      "offset": 0}, axes as [name, extent, stride in bytes]. A name may occur again: its axes are the digits of one \
      index, the most significant first. {"planes": [LAYOUT, ...]} has several; "opaque": true forbids cutting by token.
      """
    ]
    return command
  }

  private static var evalCommand: Command {
    var command = Command("eval", summary: "work out the cases of a JSON file, one line of JSON each") {
      (arguments) throws(RoostError) in try evaluate(arguments)
    }
    command.discussion = [
      """
      A case is {"start": LAYOUT, "steps": [STEP, ...], "iter_axes": [NAME, ...]}, {"src": LAYOUT, "dst": LAYOUT}, or \
      {"parts": [{"layout": LAYOUT}, ...]}. A step is ["narrow", axis, start, count], ["select", axis, index], \
      ["split", axis, inner, outer name], ["fuse", outer, inner, name], ["permute", name, ...], ["rename", old, new], \
      ["shard", axis, total, rank, size] or ["offset", bytes].
      """,
      """
      The answer has, as they apply: result (the layout after the steps), descriptors ([offset, length] for each index \
      of iter_axes), runs (maximal, ascending), triples ([source, target, length], ascending by target, as few as \
      possible), strided (loops over a run; a list where one such form is not enough), parts. A case that makes no \
      sense is answered {"error": ...} in its place.
      """,
    ]
    command.operands = [CommandOperand("FILE", "A JSON array of cases; - for standard input.")]
    command.examples = [CommandExample("roost layout eval cases.json", "One line for each case, in order.")]
    return command
  }

  private static var showCommand: Command {
    var command = Command("show", summary: "print a layout as a table, and its runs") {
      (arguments) throws(RoostError) in try show(arguments)
    }
    let names = NamedLayout.all.map { layout in
      let parameters = layout.parameters.map { "\($0.name)=\($0.usual)" }.joined(separator: ",")
      return "\(layout.name):\(parameters) is \(layout.summary)."
    }
    command.discussion =
      ["LAYOUT is JSON, a file that holds it (- for standard input), or a known layout with its usual parameters:"]
      + names
    command.operands = [CommandOperand("LAYOUT", "JSON text, a file, or NAME:parameter=value,...")]
    command.options = [
      .value("svg", "FILE", "Also draw a map of one page: which axis lies outside which, and what a rank reads."),
      .value("ranks", "N", "Ranks that share the heads in the picture. Default: one for each head."),
      .flag("json", "Print one JSON object on standard output and nothing else there."),
    ]
    command.examples = [
      CommandExample("roost layout show lbhnc", "vLLM's usual layout for Llama 3.1 8B."),
      CommandExample("roost layout show bhlnc:layers=80,blocks=1", "One page of a 70B model."),
      CommandExample(
        "roost layout show lbnhc --svg page.svg", "A picture of why a rank finds its head in so many pieces."),
    ]
    return command
  }

  // MARK: eval

  private static func evaluate(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let path = arguments.operands[0]
    let name = path == "-" ? "standard input" : path
    let value: JSONValue
    do throws(RoostError) {
      value = try InputFile(path).json()
    } catch {
      throw RoostError(error.code, "\(name): \(error.message)", context: error.context)
    }
    guard let cases = value.elements else {
      throw RoostError(.invalidInput, "\(name): a JSON array of cases is expected")
    }
    var output = LineOutput()
    for value in cases {
      do throws(RoostError) {
        try LayoutCase(json: value).answer().write(to: &output)
      } catch  where error.code == .invalidInput {
        try output.write(
          JSONValue.object(LayoutCase.identity(of: value) + [JSONMember("error", .string(error.message))]).serialized)
      }
      try output.endLine()
    }
    try output.flush()
    return .success
  }

  // MARK: show

  private static func show(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let layout = try layout(named: arguments.operands[0])
    let rankCount = try arguments.integer("ranks", in: 1...1024)
    if let path = arguments.text("svg") {
      let picture = try LayoutPicture(of: layout, title: arguments.operands[0], rankCount: rankCount).svg()
      try OutputFile(path).write(picture)
    } else if rankCount != nil {
      throw RoostError(.invalidInput, "--ranks is about the picture; add --svg FILE")
    }
    let summary = try LayoutSummary(layout)
    try Terminal.write(arguments.isOn("json") == true ? summary.json.serialized + "\n" : summary.text)
    return .success
  }

  /// The layout that an operand stands for.
  private static func layout(named text: String) throws(RoostError) -> Layout {
    if text.first(where: { !$0.isWhitespace }) == "{" { return try Layout(json: JSONValue(parsing: text)) }
    let name = String(text.prefix { $0 != ":" })
    if let named = NamedLayout.named(name) {
      return try layout(of: named, parameters: text.dropFirst(name.count + 1))
    }
    guard text == "-" || InputFile.exists(text) else {
      let known = NamedLayout.all.map(\.name)
      let hint =
        nearest(to: name, among: known).map { "; did you mean '\($0)'?" }
        ?? "; known layouts are \(known.joined(separator: ", "))"
      throw RoostError(.notFound, "'\(text)' is neither JSON nor a file nor a known layout\(hint)")
    }
    do throws(RoostError) {
      return try Layout(json: InputFile(text).json())
    } catch {
      throw RoostError(error.code, "\(text): \(error.message)", context: error.context)
    }
  }

  private static func layout(of named: NamedLayout, parameters: Substring) throws(RoostError) -> Layout {
    var values: NamedLayout.Values = [:]
    for word in parameters.split(separator: ",") {
      let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, let value = Int(sides[1]) else {
        throw RoostError(.invalidInput, "'\(word)' is not a parameter: \(named.name):name=number,... is expected")
      }
      values[String(sides[0])] = value
    }
    return try LayoutError.translated { () throws(LayoutError) in try named.layout(values) }
  }
}
