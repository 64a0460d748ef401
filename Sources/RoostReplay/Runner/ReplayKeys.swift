import RoostPrimitives

/// Keys and patterns from the ids of a trace: 32 bytes that look like a hash, different for different ids.
struct ReplayKeys {
  private let identity: IdentityID

  init(identity: IdentityID) { self.identity = identity }

  /// What the pages of a replay depend on, fixed for the run.
  static func identity(of model: ModelGeometry) -> Identity {
    Identity(
      weights: Array(model.name.utf8), dataType: model.dataType.rawValue, hashScheme: "replay:splitmix64",
      tokensPerBlock: UInt32(model.tokenCount))
  }

  /// The key of an id. The first word alone is a bijection of the id.
  func key(of id: UInt64) -> Key {
    Key(
      identity: identity, group: 0,
      words: (
        SplitMix64.mix(id), SplitMix64.mix(id ^ 0x9E37_79B9_7F4A_7C15), SplitMix64.mix(id ^ 0xD1B5_4A32_D192_ED03),
        SplitMix64.mix(id ^ 0x8CB9_2BA7_2F3D_8DD7)
      ))
  }

  /// The seed of the pattern that fills the page of an id: no other id has it.
  static func patternSeed(of id: UInt64) -> UInt64 { SplitMix64.mix(id &+ 0xA076_1D64_78BD_642F) }
}
