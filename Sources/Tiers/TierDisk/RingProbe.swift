import RoostPrimitives

/// Whether disk tiers get io_uring here.
public enum RingProbe {
  /// Makes a small ring and lets it go. Nil if that worked, else why not.
  public static func obstacle() -> RoostError? {
    do throws(RoostError) {
      try RingQueue(depth: 4, isDirect: false).close()
      return nil
    } catch {
      return error
    }
  }
}
