import RoostConformance
import RoostDevice
import RoostPrimitives
import Testing

/// Every function of a vendor's library fails, at its first and at its last call: an error that names it, nothing lost,
/// nothing that hangs, and the other device goes on. What the vendors differ in:
struct FaultMatrix: Sendable {
  /// What every function's name begins with.
  var prefix: String
  /// The result that a function that fails gives: one that means nothing special.
  var code: Int
  /// What the exercise need not call.
  var uncalled: Set<String> = []
  /// What lets go of a thing has nobody to tell: a line in the log names it. What only makes copies faster likewise.
  var quiet: Set<String>
  /// Called once more when the device goes, where nobody is left to tell.
  var last: Set<String>
  /// What leaves something behind if it fails.
  var releasing: Set<String>

  /// Makes a function fail. `run` exercises a device of the library and returns what went wrong.
  func expectNamed(
    _ function: VendorFunction, run: (_ library: SimulatedLibrary, _ index: Int) -> [String]
  ) throws {
    let symbol = prefix + function.name
    let counting = try SimulatedLibrary("fail=\(symbol):1000000:\(code)")
    // The second device, because threads may begin with the first.
    #expect(run(counting, 1) == [])
    let final = try counting.callCount(of: symbol)
    #expect(
      final > 0 || !function.isRequired || uncalled.contains(function.name), "the exercise never calls \(symbol)")
    for nth in Set([1, final]) where final > 0 {
      // A library of its own: a thread keeps the device that could not be taken from it.
      let library = try SimulatedLibrary("fail=\(symbol):\(nth):\(code)")
      let errors = run(library, 1)
      // Where one asks until something is done, the count differs from run to run.
      guard try library.callCount(of: symbol) >= nth else { continue }
      let isQuiet = quiet.contains(function.name) || nth == final && last.contains(function.name)
      #expect(isQuiet || errors.contains { $0.contains(symbol) }, "\(symbol), call \(nth): \(errors)")
      try library.control("reset=1")
      #expect(run(library, 0) == [], "after call \(nth) of \(symbol)")
      if !releasing.contains(function.name), nth == 1 || !last.contains(function.name) {
        #expect(try library.leaks() == [:], "\(symbol), call \(nth)")
      }
    }
  }

  /// Takes a required function away: the device says which is missing.
  func expectMissing(
    _ function: VendorFunction, open: (SimulatedLibrary) throws -> any Device
  ) throws {
    let symbol = prefix + function.name
    let library = try SimulatedLibrary(lacking: [symbol])
    let error = #expect(throws: RoostError.self) { _ = try open(library) }
    #expect(error?.code == .unsupported && error?.message.contains(symbol) == true, "\(symbol): \(error as Any)")
  }
}

/// A simulated runtime and how a device is opened on it.
struct VendorSubject: Sendable, CustomTestStringConvertible {
  let subject: DeviceSubject
  let lazy: LazyLibrary

  init<Driver: DeviceDriver>(
    _ name: String, lacking: [String] = [], settings: String = "",
    _ open: @escaping @Sendable (_ library: String) throws(RoostError) -> Driver
  ) {
    let lazy = LazyLibrary(settings, lacking)
    self.lazy = lazy
    subject = DeviceSubject(name, hold: lazy.hold { ($0 as? DrivenStream)?.handle }) {
      () throws(RoostError) in
      DrivenDevice(try open(try lazy.library().path))
    }
  }

  var testDescription: String { subject.name }
  var capabilities: Capabilities { get throws { try subject.open().description.capabilities } }
}
