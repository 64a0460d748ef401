import Glibc
import RoostConsole
import RoostPrimitives
import Synchronization

/// Ends the program when a drive has not answered for too long. A drive that hangs holds the thread that asked it, and no
/// deadline gets it out of the kernel: what is left is to say so and to go.
final class DriveWatch: Sendable {
  /// The option of commands that read a drive.
  static let option = CommandOption.value(
    "patience", "SECONDS", "Give up once the drive has not answered for so long: 1 to 86400, 60 unless told.")

  private static let secondsAssumed = 60

  private let answerCount = Atomic<UInt64>(0)
  private let isOver = Atomic(false)
  private let end = Doorbell()

  private init() {}

  /// Runs `body`, which calls `answered` for every answer of the drive that `path` lies on.
  static func run(
    _ arguments: Arguments, _ path: String, _ body: (DriveWatch) throws(RoostError) -> ExitStatus
  ) throws(RoostError) -> ExitStatus {
    let seconds = try arguments.integer("patience", in: 1...86_400) ?? secondsAssumed
    let watch = DriveWatch()
    let thread = try HostThread.start("roost-watch") { watch.keep(seconds, path) }
    defer {
      watch.isOver.store(true, ordering: .releasing)
      watch.end.ring()
      thread.join()
    }
    return try body(watch)
  }

  /// The drive has answered.
  func answered() { answerCount.wrappingAdd(1, ordering: .relaxed) }

  private func keep(_ seconds: Int, _ path: String) {
    var seen = answerCount.load(ordering: .relaxed)
    var deadline = Deadline.after(seconds: Double(seconds))
    while !isOver.load(ordering: .acquiring) {
      let rings = end.ringCount
      if isOver.load(ordering: .acquiring) || end.wait(past: rings, spinNanoseconds: 0, until: deadline) { continue }
      let count = answerCount.load(ordering: .relaxed)
      guard count == seen else {
        seen = count
        deadline = .after(seconds: Double(seconds))
        continue
      }
      Terminal.note(
        "roost: the drive has not answered for \(seconds) s; nothing more is known of what lies there (path=\(path))\n")
      _exit(ExitStatus.failure.rawValue)
    }
  }
}
