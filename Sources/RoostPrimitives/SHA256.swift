import CCrypto

/// SHA-256 through OpenSSL, with the context kept: a fresh one costs three times the hash of a short message.
///
/// Not thread-safe; make one a thread.
public final class SHA256 {
  /// The digest as four 8-byte words in memory order.
  public typealias Digest = (UInt64, UInt64, UInt64, UInt64)

  private let context: OpaquePointer

  /// Makes a hasher.
  public init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex2(context, EVP_sha256(), nil) == 1 else {
      // Out of memory, or an OpenSSL built without SHA-256: nothing to fall back to.
      preconditionFailure("OpenSSL cannot make a SHA-256 context")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// The digest of `bytes`.
  public func digest(of bytes: UnsafeRawBufferPointer) -> Digest {
    var result: Digest = (0, 0, 0, 0)
    let done = withUnsafeMutableBytes(of: &result) { target -> Bool in
      EVP_DigestInit_ex2(context, nil, nil) == 1 && EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
        && EVP_DigestFinal_ex(context, target.baseAddress, nil) == 1
    }
    precondition(done, "OpenSSL failed to compute SHA-256")
    return result
  }

  /// The digest of `bytes`, with a hasher made for it alone.
  public static func digest(of bytes: UnsafeRawBufferPointer) -> Digest { SHA256().digest(of: bytes) }
}
