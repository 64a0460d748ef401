/// The bounds of this module, with their arithmetic.
public enum Limits {
  /// The most slots of one table. A slot's row spends one of 32 bits on "free", and 2^30 slots of 64 KiB are 64 TiB.
  public static let slotCountMax = 1 << 30

  /// The most tracked blocks of one table: slots and ghosts. An index entry has 32 bits for a record, of which zero
  /// means "empty" and the last two numbers are marks.
  public static let recordCountMax = 1 << 31

  /// The most slot size classes; one a group of layers is more than any known model needs (4).
  public static let slotClassCountMax = 64

  /// Leases that may live at once. A serving engine has some hundred requests in flight with two leases each; a table
  /// that reaches this has a leak, and says so instead of growing.
  public static let leaseCountMax = 1 << 16

  /// Shards of one page: each has a bit in a 64-bit mask. A host has at most 16 accelerators today.
  public static let shardCountMax = 64

  /// Attachments that can be told apart by a fence: each has a bit in a 64-bit mask.
  public static let attachmentCountMax = 64

  /// Requests after which a block is stored at the latest: a count has 8 bits.
  public static let storeRequestCountMax = 255

  /// Keys that take a step of a look-up together; three steps are under way, so two cache misses of each of 16 keys
  /// overlap. A core has 16 to 48 outstanding misses; more keys at once were slower (`roost bench index`).
  static let lookupChunk = 16

  /// How many blocks ahead a loop over blocks fetches: a miss is about 100 ns, a step 10 to 30.
  static let prefetchDistance = 8
}
