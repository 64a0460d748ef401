/// What `roost doctor` says about one thing.
struct DoctorFinding: Hashable, Sendable {
  /// How much it matters.
  enum State: String, Sendable {
    /// As it should be.
    case good
    /// Works, but slower, smaller or with less sharing than it could.
    case warning
    /// Roost cannot work like this.
    case bad
  }

  /// What was looked at.
  var name: String
  var state: State
  /// What was found.
  var found: String
  /// What to do, in one line; empty if there is nothing to do.
  var fix: String

  static func good(_ name: String, _ found: String) -> DoctorFinding {
    DoctorFinding(name: name, state: .good, found: found, fix: "")
  }

  static func warning(_ name: String, _ found: String, fix: String) -> DoctorFinding {
    DoctorFinding(name: name, state: .warning, found: found, fix: fix)
  }

  static func bad(_ name: String, _ found: String, fix: String) -> DoctorFinding {
    DoctorFinding(name: name, state: .bad, found: found, fix: fix)
  }
}
