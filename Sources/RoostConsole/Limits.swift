/// Every limit of this module, with its arithmetic.
enum Limits {
  /// How deep JSON arrays and objects may nest. The reader recurses two small frames a level, under 1 KiB together in
  /// a debug build: 256 levels need 256 KiB of the smallest usual thread stack, 512 KiB.
  static let jsonDepthMax = 256

  /// Seconds between redraws of the progress bar: faster than the eye follows only costs the terminal time.
  static let progressRedrawSeconds = 0.1

  /// Seconds between progress lines where there is no terminal: a log of an hour has 720 of them.
  static let progressLineSeconds = 5.0

  /// Seconds over which the progress rate is averaged: long enough to be steady, short enough to follow a change.
  static let progressRateSeconds = 5.0

  /// Columns that help text is wrapped to: read comfortably, and fits the terminals that people have.
  static let helpColumns = 60...100

  /// Columns assumed where there is no terminal to ask.
  static let columnsAssumed = 80
}
