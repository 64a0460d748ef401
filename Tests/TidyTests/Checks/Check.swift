/// A rule about the repository that a program can decide.
protocol Check: Sendable {
  /// What the rule demands, as the end of the sentence "the repository ...".
  var rule: String { get }

  func findings(in file: SourceFile) -> [Finding]

  /// What only the whole tree shows.
  func findings(in repository: Repository) -> [Finding]
}

extension Check {
  func findings(in repository: Repository) -> [Finding] { [] }
}

/// A place that breaks a rule, with what to do instead.
struct Finding: CustomStringConvertible {
  let path: String
  let line: Int
  let message: String

  var description: String { "\(path):\(line): \(message)" }
}

/// All of them; a new check is one line here, and a suite that shows it a bad and a good snippet.
let allChecks: [any Check] = [
  ImportCheck(), LengthCheck(), DocumentationCheck(), NameCheck(), DirectionCheck(), MarkerCheck(), TrapCheck(),
  PortabilityCheck(), VendorCheck(),
]
