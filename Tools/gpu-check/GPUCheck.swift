import DeviceCUDA
import Glibc
import RoostConformance
import RoostConsole
import RoostDevice
import RoostPrimitives

/// A program of its own for any machine with an accelerator: the whole device suite on every way to copy, byte checks and
/// speeds of every way over piece sizes and counts, beside one contiguous copy in the same run.
@main struct GPUCheck {
  static func main() {
    do throws(RoostError) {
      exit(try run(Options(CommandLine.arguments.dropFirst().map { $0 })) ? 0 : 1)
    } catch {
      Terminal.note("gpu-check: \(error)\n")
      exit(2)
    }
  }

  /// Returns whether everything is right; speed decides nothing.
  private static func run(_ options: Options) throws(RoostError) -> Bool {
    if options.measuresOverhead {
      try Terminal.write(try Overhead.run(options))
      return true
    }
    if let child = options.child {
      return try Sharing.child(options, handle: child.handle, then: child.action)
    }
    let device = DrivenDevice(try CUDADriver(options.configuration(nil)))
    let about = device.description
    Terminal.note(
      "\(about.uri): \(about.name), driver \(about.driverVersion ?? "?"), \(ByteCount(about.memoryBytes)), "
        + "bus \(about.busAddress ?? "?"), node \(about.numaNode.map { "\($0)" } ?? "?")\n")
    let suites = try SuiteRun.all(options)
    let sharing = try Sharing.check(options)
    var sweep = Sweep(options)
    try sweep.run()
    let report = Report(description: about, suites: suites, sharing: sharing, sweep: sweep, seed: options.seed)
    try Terminal.write(options.isJSON ? report.json.serialized + "\n" : report.markdown)
    return report.isRight
  }
}

/// What was asked for.
struct Options {
  var index = 0
  var library: String?
  var isQuick = false
  var isJSON = false
  var measuresOverhead = false
  /// Where this is the other process of a check: the memory's handle, and what to do with it.
  var child: Child?

  struct Child {
    let handle: String
    let action: String
  }

  /// Of the pages' order and content; printed.
  var seed: UInt64 = 0

  init(_ arguments: [String]) throws(RoostError) {
    seed = MonotonicClock().nanoseconds % 1_000_000
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--quick": isQuick = true
      case "--json": isJSON = true
      case "--overhead": measuresOverhead = true
      case "--device", "--seed":
        guard let number = rest.popFirst().flatMap({ UInt64($0) }) else { throw Options.usage }
        if argument == "--seed" { seed = number } else { index = Int(clamping: number) }
      case Sharing.childArgument:
        guard let handle = rest.popFirst(), let action = rest.popFirst() else { throw Options.usage }
        child = Child(handle: handle, action: action)
      case "--library":
        guard let path = rest.popFirst() else { throw Options.usage }
        library = path
      default: throw Options.usage
      }
    }
  }

  private static let usage = RoostError(
    .invalidInput, "usage: gpu-check [--quick] [--json] [--overhead] [--device N] [--library PATH] [--seed N]")

  func configuration(_ path: CopyPath?) -> CUDADeviceConfiguration {
    CUDADeviceConfiguration(index: index, library: library, path: path)
  }
}

/// The suite on one way to copy.
struct SuiteRun {
  let name: String
  let passed: Int
  let failures: [String]

  /// On the device's own choice, and on each way alone.
  static func all(_ options: Options) throws(RoostError) -> [SuiteRun] {
    var runs: [SuiteRun] = []
    for path in [nil] + CopyPath.allCases.map(Optional.some) {
      let name = path?.rawValue ?? "chosen"
      let subject = DeviceSubject(name) { () throws(RoostError) in
        DrivenDevice(try CUDADriver(options.configuration(path)))
      }
      var passed = 0
      var failures: [String] = []
      for check in DeviceSuite.checks {
        switch DeviceSuite.verdict(on: check, of: subject) {
        case .passed: passed += 1
        case .failed(let complaints): failures += complaints.map { "\(check.name): \($0)" }
        case .unsupported, .expectedFailure: break
        }
      }
      Terminal.note("suite, \(name): \(passed) passed, \(failures.count) failed\n")
      runs.append(SuiteRun(name: name, passed: passed, failures: failures))
    }
    return runs
  }
}
