import Glibc

/// The error numbers that a simulated disk gives.
enum SimulatedErrors {
  static let inputOutput = Int(EIO)
  static let noSpace = Int(ENOSPC)
  static let dead = Int(ENODEV)
}
