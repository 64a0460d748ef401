import RoostPrimitives

/// How the values lie in a stored page. Kept beside the page, never in its name; a reader that has no plan for it takes
/// the page as missing.
public struct Representation: Hashable, Sendable {
  /// What a tier or a decorator did to the bytes of the whole page.
  public enum Codec: UInt8, Sendable, CaseIterable {
    /// Nothing.
    case plain = 0
    /// zstd, the even and the odd bytes apart: see `Compressed`.
    case zstdBytePlanes = 1
  }

  /// A fingerprint of the layout that the writer had; readers compare it.
  public var layout: UInt64
  /// The codec.
  public var codec: Codec

  /// Describes a representation; `layout` 0 where there is only one.
  public init(layout: UInt64 = 0, codec: Codec = .plain) {
    self.layout = layout
    self.codec = codec
  }
}

/// What a tier knows about a page besides its name.
public struct PageFacts: Hashable, Sendable {
  /// The length of the page in bytes.
  public var byteCount: Int
  /// The seal over all of them.
  public var seal: Seal
  /// How the values lie.
  public var representation: Representation

  /// Puts them together.
  public init(byteCount: Int, seal: Seal, representation: Representation = Representation()) {
    self.byteCount = byteCount
    self.seal = seal
    self.representation = representation
  }
}

/// What became of one page of a batch.
public enum PageOutcome: Sendable {
  /// Read: the bytes are in the caller's memory and match the seal. Written: the page can be read back. Contained: it
  /// is there. Removed: it is gone, or was not there.
  case done(PageFacts)
  /// The tier does not have the page.
  case missing
  /// The tier had the page, and what it found was not it. The page is gone from the tier; the caller's memory holds
  /// garbage.
  case corrupt
  /// The tier has too much to do, or takes nothing at present. Nothing happened; the same may work later.
  case throttled
  /// The page is not worth the place that it would take, as far as the tier knows. Nothing happened. Of a write only.
  case refused
  /// The tier could not do it. After a read the caller's memory holds garbage.
  case failed(RoostError)

  /// The name of the case, for counters and reports.
  public var kind: Kind {
    switch self {
    case .done: .done
    case .missing: .missing
    case .corrupt: .corrupt
    case .throttled: .throttled
    case .refused: .refused
    case .failed: .failed
    }
  }

  /// The cases without what comes with them.
  public enum Kind: String, Sendable, CaseIterable {
    /// See `PageOutcome`.
    case done, missing, corrupt, throttled, refused, failed
  }

  /// What is known about the page, if it is `done`.
  public var facts: PageFacts? {
    if case .done(let facts) = self { return facts }
    return nil
  }
}
