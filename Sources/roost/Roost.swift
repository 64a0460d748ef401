import Glibc
import RoostConsole

/// The program's entry point.
@main
struct Roost {
  /// Raised with every release.
  static let version = "0.1.0"

  /// Every subcommand; one line each.
  static let commands: [Command] = [
    ReplayCommand.command,
    BenchCommand.command,
    DevicesCommand.command,
    LayoutCommand.command,
    DiskCommand.command,
    ForgetCommand.command,
    DoctorCommand.command,
    WorkerCommand.command,
  ]

  static func main() {
    exit(program.run(Array(CommandLine.arguments.dropFirst())).rawValue)
  }

  private static var program: Program {
    var root = Command(
      "roost", summary: "keeps the KV cache of large language models off the accelerator", subcommands: commands)
    root.discussion = [
      """
      Roost identifies every block of tokens by all that its values depend on, keeps the pages in a shared-memory pool, \
      decides what is worth keeping, and brings them back faster than a model could compute them again. This program \
      replays recorded traffic through it, measures it, and explains memory layouts.
      """
    ]
    root.options = [.flag("version", "Show the version.")]
    root.examples = [
      CommandExample("roost replay", "A built-in workload through real memory, every byte checked."),
      CommandExample("roost bench", "What this machine can do, as ratios to plain memcpy."),
    ]
    return Program(root: root, version: version)
  }
}
