/// A number of bytes, read and written the way people do: `4GiB`, `256KiB`, `1.5GB`, `4096`.
public struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The number of bytes; never negative when made by `init(parsing:)`.
  public let bytes: Int

  /// Wraps a number of bytes.
  public init(_ bytes: Int) { self.bytes = bytes }

  /// `count` KiB (1,024 bytes each).
  public static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }
  /// `count` MiB (1,048,576 bytes each).
  public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }
  /// `count` GiB (1,073,741,824 bytes each).
  public static func gibibytes(_ count: Int) -> ByteCount { ByteCount(count << 30) }

  /// Parses a decimal number with an optional unit: `B`, `KiB`/`K`, `MiB`/`M`, `GiB`/`G`, `TiB`/`T` (powers of 1,024)
  /// or `KB`, `MB`, `GB`, `TB` (powers of 1,000); case does not matter.
  ///
  /// - Throws: `invalidInput` for anything else, a negative number, or more than `Int.max` bytes.
  public init(parsing text: String) throws(RoostError) {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    guard let number = Double(digits), let scale = ByteCount.scales[unit], number * scale < 9.2e18 else {
      throw RoostError(
        .invalidInput, "'\(text)' is not a size; write a number with a unit, such as 4GiB, 256KiB or 65536")
    }
    bytes = Int((number * scale).rounded())
  }

  private static let scales: [String: Double] = [
    "": 1, "b": 1, "k": 1024, "kib": 1024, "m": 1_048_576, "mib": 1_048_576, "g": 1_073_741_824, "gib": 1_073_741_824,
    "t": 1_099_511_627_776, "tib": 1_099_511_627_776, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
  ]

  /// The size in the largest binary unit that leaves at least one, with at most one decimal: `1.5 MiB`, `64 KiB`.
  public var description: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var step = 0
    while step < units.count - 1, bytes.magnitude >> (10 * UInt(step + 1)) > 0 { step += 1 }
    let scale = 1 << (10 * step)
    let tenths = Int((Double(bytes) * 10 / Double(scale)).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) \(units[step])" : "\(tenths / 10).\(abs(tenths % 10)) \(units[step])"
  }

  /// Orders by the number of bytes.
  public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }
}
