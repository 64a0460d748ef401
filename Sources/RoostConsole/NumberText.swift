/// Numbers as people read them, without a locale.
public enum NumberText {
  /// With a fixed number of decimals, rounded: `fixed(2.345, 2)` is `2.35`. Not-a-number and infinities are a dash.
  ///
  /// - Precondition: `decimals` is 0 to 9.
  public static func fixed(_ value: Double, _ decimals: Int) -> String {
    precondition((0...9).contains(decimals), "0 to 9 decimals can be printed")
    guard value.isFinite, value.magnitude < 9e15 else { return "-" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e18 else { return String(value) }
    let digits = String(Int(scaled))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + digits }
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }

  /// With commas between thousands: `6,369,481`.
  public static func grouped(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return value < 0 ? "-" + text : text
  }

  /// A share as a percentage with two decimals: `36.64 %`.
  public static func percent(_ share: Double) -> String { fixed(share * 100, 2) + " %" }

  /// A duration in the unit that suits it: `840 ns`, `12.4 us`, `3.1 ms`, `2.0 s`, `4:05 min`, `1:02:00 h`.
  public static func duration(seconds: Double) -> String {
    switch seconds {
    case ..<0.000001: return fixed(seconds * 1e9, 0) + " ns"
    case ..<0.001: return fixed(seconds * 1e6, 1) + " us"
    case ..<1: return fixed(seconds * 1e3, 1) + " ms"
    case ..<60: return fixed(seconds, 1) + " s"
    default:
      guard seconds.isFinite, seconds < 1e9 else { return "-" }
      let whole = Int(seconds.rounded())
      func two(_ part: Int) -> String { part < 10 ? "0\(part)" : "\(part)" }
      if whole < 3600 { return "\(whole / 60):\(two(whole % 60)) min" }
      return "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60)) h"
    }
  }
}
