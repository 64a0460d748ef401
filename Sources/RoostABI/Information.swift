import CRoostABI
import RoostBlocks
import RoostPrimitives

/// Text that lives as long as the library.
enum Information {
  static let version: StaticString = "0.1.0"
  static let unknown: StaticString = "unknown"

  static func pointer(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }

  static func name(of status: roost_status) -> StaticString {
    switch Int(status) {
    case Int(ROOST_OK): "ok"
    case Int(ROOST_INVALID_INPUT): "invalidInput"
    case Int(ROOST_NOT_FOUND): "notFound"
    case Int(ROOST_BUSY): "busy"
    case Int(ROOST_OUT_OF_RESOURCES): "outOfResources"
    case Int(ROOST_UNSUPPORTED): "unsupported"
    case Int(ROOST_TIMED_OUT): "timedOut"
    case Int(ROOST_CANCELLED): "cancelled"
    case Int(ROOST_CORRUPT): "corrupt"
    case Int(ROOST_STALE): "stale"
    case Int(ROOST_LOST): "lost"
    case Int(ROOST_SYSTEM): "system"
    default: unknown
    }
  }
}

/// See roost.h, which says what every function of this module promises.
@c @implementation public func roost_version() -> UnsafePointer<CChar>? { Information.pointer(Information.version) }

/// See roost.h.
@c @implementation public func roost_abi_version() -> UInt32 { UInt32(ROOST_ABI_VERSION) }

/// See roost.h.
@c @implementation public func roost_status_name(_ status: roost_status) -> UnsafePointer<CChar>? {
  Information.pointer(Information.name(of: status))
}

/// See roost.h.
@c @implementation public func roost_error_message() -> UnsafePointer<CChar>? { roost_abi_message() }

/// See roost.h.
@c @implementation public func roost_error_context() -> UnsafePointer<CChar>? { roost_abi_context() }

/// See roost.h.
@c @implementation public func roost_hash_tokens(
  _ tokens: UnsafePointer<UInt32>?, _ tokenCount: Int, _ tokensPerBlock: Int, _ outHashes: UnsafeMutableRawPointer?,
  _ hashBytes: Int, _ outCount: UnsafeMutablePointer<Int>?
) -> roost_status {
  Failure.caught { () throws(RoostError) in
    let outCount = try Arguments.required(outCount, "out_count")
    guard 1...Limits.tokensPerBlockMax ~= tokensPerBlock else {
      throw RoostError(
        .invalidInput, "tokens_per_block must be 1 to \(Limits.tokensPerBlockMax), not \(tokensPerBlock)")
    }
    guard 0...Limits.tokenCountMax ~= tokenCount else {
      throw Arguments.tooMany("tokens", tokenCount, Limits.tokenCountMax)
    }
    let blockCount = tokenCount / tokensPerBlock
    guard blockCount > 0 else {
      outCount.pointee = 0
      return
    }
    let tokens = try Arguments.required(tokens, "tokens")
    guard let outHashes else { throw Arguments.missing("out_hashes") }
    guard hashBytes >= 32 * blockCount else {
      throw RoostError(.outOfResources, "\(blockCount) hashes need \(32 * blockCount) bytes, not \(hashBytes)")
    }
    let hashes = UnsafeMutableBufferPointer<TokenHasher.BlockHash>.allocate(capacity: blockCount)
    defer { hashes.deallocate() }
    TokenHasher(tokensPerBlock: tokensPerBlock).hash(
      UnsafeBufferPointer(start: tokens, count: blockCount * tokensPerBlock), into: hashes)
    // Copied, because the caller's bytes need not be aligned.
    outHashes.copyMemory(from: UnsafeRawPointer(hashes.baseAddress.unsafelyUnwrapped), byteCount: 32 * blockCount)
    outCount.pointee = blockCount
  }
}
