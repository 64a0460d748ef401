import RoostPrimitives

/// A program made of commands: finds the command that was typed, and turns what happens into an exit status.
///
/// Help goes to standard output when it was asked for, else to standard error. Every error is one line on standard
/// error.
public struct Program: Sendable {
  private let root: Command
  private let version: String

  /// Describes a program; `root` carries its name and its commands.
  public init(root: Command, version: String) {
    self.root = root
    self.version = version
  }

  /// Runs what `words` (without the program's name) ask for.
  public func run(_ words: [String]) -> ExitStatus {
    do throws(RoostError) {
      return try dispatch(words)
    } catch {
      Terminal.note("\(root.name): \(Program.oneLine(error.description))\n")
      return Program.status(of: error)
    }
  }

  /// How a program ends that an error ended: `usage` where the command line or the input is at fault.
  public static func status(of error: RoostError) -> ExitStatus {
    switch error.code {
    case .invalidInput, .notFound, .unsupported: .usage
    case .cancelled: .interrupted
    default: .failure
    }
  }

  private func dispatch(_ words: [String]) throws(RoostError) -> ExitStatus {
    var command = root
    var path = root.name
    var rest = words[...]
    while rest.first == "help" {
      rest = rest.dropFirst()
      rest.append("--help")
    }
    while !command.subcommands.isEmpty {
      guard let word = rest.popFirst() else {
        Terminal.note(command.help(path: path, columns: Terminal.columns ?? Limits.columnsAssumed))
        return .usage
      }
      if try answered(word, command, path) { return .success }
      command = try subcommand(word, of: command, path)
      path += " " + command.name
    }
    let typed = rest.prefix { $0 != "--" }
    if typed.contains("--help") || typed.contains("-h") {
      try Terminal.write(command.help(path: path, columns: Terminal.columns ?? Limits.columnsAssumed))
      return .success
    }
    guard let action = command.action else { return .usage }
    let arguments: Arguments
    do throws(RoostError) {
      arguments = try Arguments(parsing: Array(rest), for: command)
    } catch {
      throw RoostError(error.code, "\(error.message) ('\(path) --help' lists what there is)")
    }
    return try action(arguments)
  }

  /// Whether `word` was an option of a family of commands, which is then answered.
  private func answered(_ word: String, _ command: Command, _ path: String) throws(RoostError) -> Bool {
    switch word {
    case "--help", "-h":
      try Terminal.write(command.help(path: path, columns: Terminal.columns ?? Limits.columnsAssumed))
      return true
    case "--version" where path == root.name:
      try Terminal.write("\(root.name) \(version)\n")
      return true
    default:
      return false
    }
  }

  private func subcommand(_ word: String, of command: Command, _ path: String) throws(RoostError) -> Command {
    if let found = command.subcommands.first(where: { $0.name == word }) { return found }
    let names = command.subcommands.map(\.name)
    let kind = word.hasPrefix("-") ? "option" : "command"
    let near = suggestion(for: word, among: names + ["--help", "--version"])
    let all = near.isEmpty ? "; there are: " + names.joined(separator: ", ") : ""
    throw RoostError(.invalidInput, "unknown \(kind) '\(word)'\(near)\(all) ('\(path) --help' tells more)")
  }

  private static func oneLine(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }
}
