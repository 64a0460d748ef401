import RoostPrimitives

/// How a program ends.
public enum ExitStatus: Int32, Sendable {
  /// Everything that was asked for was done and is right.
  case success = 0
  /// Something failed or did not verify.
  case failure = 1
  /// The command line or the input is not usable; nothing, or not everything, was done.
  case usage = 2
  /// A person pressed Ctrl-C: 128 + SIGINT, as shells expect.
  case interrupted = 130
}

/// An option of a command: `--name`, `--name VALUE` or `--name=VALUE`.
public struct CommandOption: Sendable {
  /// What follows the name.
  public enum Kind: Sendable, Equatable {
    /// Nothing: there or not.
    case flag
    /// Nothing, and `--no-name` says the opposite.
    case toggle(initially: Bool)
    /// A value; `shape` stands for it in the help text, as in `SIZE`.
    case value(shape: String)
  }

  /// The name without dashes.
  public let name: String
  /// What follows the name.
  public let kind: Kind
  /// What it does, for the help text: full sentences are not needed, reasons and examples are.
  public let help: String

  /// An option that is there or not.
  public static func flag(_ name: String, _ help: String) -> CommandOption {
    CommandOption(name: name, kind: .flag, help: help)
  }

  /// An option that can be switched on and, as `--no-name`, off.
  public static func toggle(_ name: String, initially: Bool, _ help: String) -> CommandOption {
    CommandOption(name: name, kind: .toggle(initially: initially), help: help)
  }

  /// An option with a value.
  public static func value(_ name: String, _ shape: String, _ help: String) -> CommandOption {
    CommandOption(name: name, kind: .value(shape: shape), help: help)
  }

  /// The option as it is typed: `--verify, --no-verify`, `--seed N`.
  var usage: String {
    switch kind {
    case .flag: "--\(name)"
    case .toggle: "--\(name), --no-\(name)"
    case .value(let shape): "--\(name) \(shape)"
    }
  }
}

/// An argument that is known by its place.
public struct CommandOperand: Sendable {
  /// How the help text calls it, in capitals: `TRACE`.
  public let name: String
  /// What it is.
  public let help: String
  /// Whether it may be left out; operands after it may then be left out too.
  public let isOptional: Bool

  /// Describes an operand.
  public init(_ name: String, isOptional: Bool = false, _ help: String) {
    self.name = name
    self.isOptional = isOptional
    self.help = help
  }
}

/// A command line that is worth knowing, for the help text.
public struct CommandExample: Sendable {
  /// What one types.
  public let line: String
  /// What one gets.
  public let effect: String

  /// Describes an example.
  public init(_ line: String, _ effect: String) {
    self.line = line
    self.effect = effect
  }
}

/// A command of a program: what it is called, what it takes, what it does; or a family of subcommands.
///
/// An immutable table once it is built: parsing, help text and suggestions all read it.
public struct Command: Sendable {
  /// Does the command's work. Throws only what ends the command with one line on standard error.
  public typealias Action = @Sendable (Arguments) throws(RoostError) -> ExitStatus

  /// The name that is typed.
  public let name: String
  /// One line for the list of commands, without a full stop.
  public let summary: String
  /// Paragraphs below the usage line: what it does and how to think about it.
  public var discussion: [String] = []
  /// Arguments by place.
  public var operands: [CommandOperand] = []
  /// Arguments by name.
  public var options: [CommandOption] = []
  /// A list of what the command knows by name, below its options: title, and name and meaning of each.
  public var topic: (title: String, rows: [(name: String, meaning: String)])?
  /// Command lines worth knowing.
  public var examples: [CommandExample] = []
  /// The family, if this is one; then it has no action of its own.
  public let subcommands: [Command]
  /// What it does; nil for a family.
  public let action: Action?

  /// A command that does something.
  public init(_ name: String, summary: String, action: @escaping Action) {
    self.name = name
    self.summary = summary
    self.subcommands = []
    self.action = action
  }

  /// A family of commands.
  public init(_ name: String, summary: String, subcommands: [Command]) {
    self.name = name
    self.summary = summary
    self.subcommands = subcommands
    self.action = nil
  }
}
