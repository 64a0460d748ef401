import Glibc

extension DiskTierConfiguration {
  /// The time of day, which may jump: for people to read only.
  static var secondsSince1970: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(max(0, time.tv_sec))
  }
}
