/// Every bound of this module, with its reason.
enum Limits {
  /// Keys in one call: 16 million blocks of 16 tokens are 256 million tokens, beyond any context; 640 MiB of keys.
  static let keyCountMax = 1 << 24
  /// Blocks of one job: as many.
  static let blockCountMax = 1 << 24
  /// Regions and parts of the pages of one group: 1,024 layers with four tensors each.
  static let partCountMax = 4096
  /// Bounds between the ranges of a page: 64 of them are a range a layer of most models.
  static let rangeBoundsMax = 63
  /// Elements that one call gives back at most, so that nobody's capacity makes us allocate without bound.
  static let answerCountMax = 1 << 16
  /// Bytes of a structure: what a later version may have grown to.
  static let structBytesMax = 4096
  /// Bytes of a configuration or a layout.
  static let textByteCountMax = 1 << 20
  /// Bytes of one field of an identity.
  static let fieldByteCountMax = 1 << 20
  /// Fields of an identity: more than there are names.
  static let fieldCountMax = 64
  /// Handles that are open at a time: 28 bits of a handle name its place in the table. Engines and workers are a few,
  /// blocks of device memory as many as a device caches: 128 tokens each, these hold 134 million. 40 MiB of table.
  static let handleCountMax = 1 << 20
  /// Copies of one device that nobody has waited for. A caller that submits a thousand a second and never asks gets
  /// there in a minute.
  static let flightCountMax = 1 << 16
  /// Copies in flight after which a further one asks which of them have ended.
  static let flightCountUsual = 64
  /// Pieces of one copy: 384 MiB of them, pages of 4 KiB of 64 GiB.
  static let pieceCountMax = 1 << 24
  /// Host memory through which a block goes to another device, a chunk at a time: long enough for any link.
  static let stageByteCountMax = 32 << 20
  /// Memory of a mock: what tests need, and few machines lack.
  static let mockBytesMax = 1 << 32
  /// Timeouts are cut to this many seconds, some 30 years, so that arithmetic on deadlines cannot overflow.
  static let timeoutSecondsMax = 1e9
  /// Tokens of one call that hashes: 268 million.
  static let tokenCountMax = 1 << 28
  /// Tokens of a block.
  static let tokensPerBlockMax = 1 << 20
}
