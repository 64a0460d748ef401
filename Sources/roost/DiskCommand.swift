import Glibc
import RoostConsole
import RoostPrimitives
import TierDisk

/// `roost disk`: looks at, checks and repairs the directory of a disk tier.
enum DiskCommand {
  static var command: Command {
    var command = Command(
      "disk", summary: "look at, check and repair the directory of a disk tier",
      subcommands: [
        family(
          "inspect", .headers, "what is there: identities, pages, bytes, ages, occupancy; works while it is in use"),
        family("verify", .pages, "read every page and compare it with its seal; changes nothing"),
        family("scrub", .repairing, "verify, and free what is damaged or was set aside"),
      ])
    command.discussion = [
      """
      A damaged page never harms: it is found by its seal when it is read, and is a miss. These commands tell how much \
      there is of it, and give its room back.
      """
    ]
    return command
  }

  private static func family(_ name: String, _ depth: DiskSurvey.Depth, _ summary: String) -> Command {
    var command = Command(name, summary: summary) { (arguments) throws(RoostError) in
      let path = arguments.operands[0]
      return try DriveWatch.run(arguments, path) { (watch) throws(RoostError) in try run(name, depth, path, watch) }
    }
    command.options = [DriveWatch.option]
    command.operands = [CommandOperand("DIR", "The directory of the tier.")]
    return command
  }

  private static func run(
    _ name: String, _ depth: DiskSurvey.Depth, _ path: String, _ watch: DriveWatch
  ) throws(RoostError) -> ExitStatus {
    let survey = try DiskSurvey(path, depth)
    let progress = ProgressReport(name, unit: "segments", total: nil)
    try survey.run(answered: watch.answered) { done, total in progress.update(done, detail: "of \(total)") }
    progress.finish()
    try Terminal.write(identityTable(survey) + "\n" + occupancy(survey) + "\n" + summary(survey, depth))
    for damage in survey.damages { try Terminal.write("damaged: \(damage)\n") }
    if case .repairing = depth { return .success }
    return survey.damages.isEmpty ? .success : .failure
  }

  private static func identityTable(_ survey: DiskSurvey) -> String {
    var table = Table([
      ("identity", .left), ("pages", .right), ("bytes", .right), ("oldest", .right), ("newest", .right),
    ])
    let now = UInt64(max(0, time(nil)))
    func age(_ moment: UInt64) -> String {
      NumberText.duration(seconds: Double(now > moment ? now - moment : 0)) + " ago"
    }
    for (digest, share) in survey.identities.sorted(by: { $0.value.byteCount > $1.value.byteCount }) {
      table.add([
        String(digest.description.prefix(16)), NumberText.grouped(share.pageCount), "\(ByteCount(share.byteCount))",
        age(share.oldest), age(share.newest),
      ])
    }
    return table.text
  }

  /// One line a segment: each mark is a share of its slots.
  private static func occupancy(_ survey: DiskSurvey) -> String {
    let columns = 48
    var text = ""
    for segment in survey.segments where segment.slotByteCount > 0 {
      let count = segment.slots.count
      var marks = ""
      for column in 0..<min(columns, count) {
        let part = segment.slots[(column * count / min(columns, count))..<((column + 1) * count / min(columns, count))]
        let isBad = part.contains { if case .empty = $0 { false } else if case .page = $0 { false } else { true } }
        let pageCount = part.count { if case .page = $0 { true } else { false } }
        marks += isBad ? "x" : pageCount == part.count ? "#" : pageCount > 0 ? "+" : "."
      }
      text += "\(segment.number)  [\(marks)]  \(count) slots of \(ByteCount(segment.slotByteCount))\n"
    }
    let uncut = survey.segments.count { $0.slotByteCount == 0 }
    return text + "\(uncut) segments are not in use yet  (# full, + in part, . empty, x damaged or set aside)\n"
  }

  private static func summary(_ survey: DiskSurvey, _ depth: DiskSurvey.Depth) -> String {
    var slots: [String: Int] = [:]
    for segment in survey.segments {
      for slot in segment.slots { slots["\(slot)", default: 0] += 1 }
    }
    var text = "\(NumberText.grouped(survey.pageCount)) pages, \(ByteCount(survey.pageBytes)), in files of "
    text += "\(ByteCount(survey.occupiedBytes)); \(slots["quarantined"] ?? 0) slots set aside, "
    text +=
      "\(survey.damages.count) damages; \(survey.hasSnapshot ? "closed cleanly" : "in use, or not closed cleanly")\n"
    if case .headers = depth { return text }
    text += "\(NumberText.grouped(survey.checkedCount)) pages compared with their seals\n"
    if case .repairing = depth { text += "\(NumberText.grouped(survey.freedCount)) slots freed\n" }
    return text
  }
}
