import RoostConsole
import RoostPrimitives
import TierDisk

/// `roost forget`: takes all pages of an identity out of a disk tier that nobody has open.
enum ForgetCommand {
  static var command: Command {
    var command = Command(
      "forget", summary: "overwrite all pages of one identity in the directory of a disk tier"
    ) { (arguments) throws(RoostError) in
      try DriveWatch.run(arguments, arguments.operands[0]) { (watch) throws(RoostError) in try run(arguments, watch) }
    }
    command.discussion = [
      """
      For a tier that no process has open. Pages, and the headers that name them, are overwritten with zeros. What was \
      evicted before, and what a drive keeps of overwritten blocks, is beyond its reach: encrypt the file system where \
      that matters.
      """
    ]
    command.operands = [CommandOperand("DIR", "The directory of the tier.")]
    command.options = [
      .value(
        "identity", "DIGEST", "The identity: the first 8 or more digits of what `roost disk inspect` shows. Required."),
      DriveWatch.option,
    ]
    command.examples = [CommandExample("roost forget /var/lib/roost --identity 3f2a9c0d", "Forget one model's pages.")]
    return command
  }

  private static func run(_ arguments: Arguments, _ watch: DriveWatch) throws(RoostError) -> ExitStatus {
    guard let prefix = arguments.text("identity"), prefix.count >= 8, prefix.allSatisfy({ $0.isHexDigit }) else {
      throw RoostError(
        .invalidInput, "--identity takes at least 8 hexadecimal digits; 'roost disk inspect DIR' lists identities")
    }
    let path = arguments.operands[0]
    let wanted = prefix.lowercased()
    // Without the lock: only to find out which identity is meant.
    let glance = try DiskSurvey(path, .headers)
    try glance.run(answered: watch.answered) { _, _ in }
    let matching = glance.identities.keys.filter { $0.description.hasPrefix(wanted) }
    guard matching.count < 2 else {
      throw RoostError(.invalidInput, "\(matching.count) identities begin with '\(prefix)'; give more digits")
    }
    guard let identity = matching.first else {
      try Terminal.write("no page of an identity that begins with '\(prefix)' is there\n")
      return .success
    }
    let survey = try DiskSurvey(path, .forgetting(identity))
    let progress = ProgressReport("forget", unit: "segments", total: nil)
    try survey.run(answered: watch.answered) { done, total in progress.update(done, detail: "of \(total)") }
    progress.finish()
    try Terminal.write("\(NumberText.grouped(survey.freedCount)) pages of \(identity) are overwritten\n")
    for damage in survey.damages { try Terminal.write("damaged: \(damage)\n") }
    return survey.identities[identity] == nil ? .success : .failure
  }
}
