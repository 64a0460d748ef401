import RoostPrimitives

/// One thing that every implementation must do: a sentence and the code that finds out.
///
/// A suite is a list of checks. It is written once, against protocols, and knows no implementation; the tests of each
/// implementation bring a fresh trial for every check and a list of exceptions.
public struct ConformanceCheck<Trial: ConformanceTrial>: Sendable, CustomStringConvertible {
  /// The behaviour, as a sentence. Unique within a suite; exceptions name it.
  public let name: String
  /// Why the question makes no sense for this implementation; nil: it does.
  let obstacle: @Sendable (Trial) -> String?
  let body: @Sendable (Trial) throws(RoostError) -> Void

  /// Describes a check.
  ///
  /// - Parameters:
  ///   - obstacle: why a trial cannot be asked, for one a capability that it lacks; nil if it can.
  ///   - body: tells the trial's findings what is wrong. An error that it throws is a finding too.
  public init(
    _ name: String, obstacle: @escaping @Sendable (Trial) -> String? = { _ in nil },
    _ body: @escaping @Sendable (Trial) throws(RoostError) -> Void
  ) {
    self.name = name
    self.obstacle = obstacle
    self.body = body
  }

  /// The sentence.
  public var description: String { name }

  /// Asks one implementation.
  ///
  /// - Parameters:
  ///   - exceptions: what is known of this implementation; those of other checks are ignored.
  ///   - open: makes the trial. An `unsupported` error means that this machine does not have the thing.
  public func verdict(
    excepting exceptions: [ConformanceException] = [], on open: () throws(RoostError) -> Trial
  ) -> ConformanceVerdict {
    let exception = exceptions.first { $0.check == name }
    if case .unsupported(let reason) = exception?.kind { return .unsupported(reason) }
    do throws(RoostError) {
      let trial = try open()
      if let reason = obstacle(trial) { return .unsupported(reason) }
      do throws(RoostError) {
        try body(trial)
      } catch {
        trial.findings.add("threw: \(error)")
      }
      trial.end()
      return judge(trial.findings.complaints, exception)
    } catch {
      if error.code == .unsupported { return .unsupported(error.message) }
      return judge(["cannot be opened: \(error)"], exception)
    }
  }

  private func judge(_ complaints: [String], _ exception: ConformanceException?) -> ConformanceVerdict {
    guard case .expectedFailure(let reason) = exception?.kind else {
      return complaints.isEmpty ? .passed : .failed(complaints)
    }
    guard complaints.isEmpty else { return .expectedFailure(reason) }
    return .failed(["passes, although it was expected to fail: \(reason). Remove the exception."])
  }
}

/// What a check works with: an implementation, freshly made, and what is found out about it.
public protocol ConformanceTrial: AnyObject, SendableMetatype {
  /// What is wrong.
  var findings: Findings { get }
  /// Gives back what the check took. Called once, after the check.
  func end()
}

/// How an implementation answers a check.
public enum ConformanceVerdict: Hashable, Sendable {
  /// It does what it must.
  case passed
  /// It need not: it does not offer this.
  case unsupported(String)
  /// It does not yet what it must, and that is known.
  case expectedFailure(String)
  /// What is wrong.
  case failed([String])
}

/// Something known about an implementation that its verdicts would not tell.
public struct ConformanceException: Hashable, Sendable {
  /// The two kinds; each has a reason, which is printed.
  public enum Kind: Hashable, Sendable {
    /// For good: the implementation need not do this. The check is not made.
    case unsupported(String)
    /// For now: a defect that is known. The check is made, and fails if it passes, so that the exception goes when the
    /// defect does.
    case expectedFailure(String)
  }

  /// The sentence of the check.
  public var check: String
  /// What kind of exception it is, and why.
  public var kind: Kind

  /// Makes an exception.
  public init(_ check: String, _ kind: Kind) {
    self.check = check
    self.kind = kind
  }
}

/// Collects what a check finds wrong. Not thread-safe: threads of a check report to it, they do not write here.
public final class Findings {
  /// What was found, oldest first.
  public private(set) var complaints: [String] = []

  /// Nothing yet.
  public init() {}

  /// Adds a complaint.
  public func add(_ complaint: String, line: UInt = #line) { complaints.append("line \(line): \(complaint)") }

  /// Adds the complaint unless the condition holds.
  public func expect(_ condition: Bool, _ complaint: @autoclosure () -> String, line: UInt = #line) {
    if !condition { add(complaint(), line: line) }
  }

  /// Adds a complaint unless `body` throws an error of this code.
  public func expectError(
    _ code: RoostError.Code, _ what: String, line: UInt = #line, _ body: () throws(RoostError) -> Void
  ) {
    do throws(RoostError) {
      try body()
      add("\(what) did not throw \(code.rawValue)", line: line)
    } catch {
      if error.code != code { add("\(what) threw \(error.code.rawValue), not \(code.rawValue): \(error)", line: line) }
    }
  }
}
