import CRoostABI
import RoostBlocks
import RoostEngine
import RoostPrimitives

/// Makes keys of what a caller brings, checked against the engine. Owns them until `free`.
struct KeyReader {
  /// The keys.
  let keys: UnsafeMutableBufferPointer<Key>
  /// Their group.
  let group: Int

  /// - Throws: `invalidInput` for a group or an identity that the engine does not have, hashes of an impossible length,
  ///   or too many of them.
  init(_ pointer: UnsafePointer<roost_keys>?, _ engine: Engine) throws(RoostError) {
    self = try KeyReader([try Arguments.structure(pointer, "keys")], engine)
  }

  /// Keys of several groups, one after another.
  init(_ lists: [roost_keys], _ engine: Engine) throws(RoostError) {
    var count = 0
    for list in lists {
      try KeyReader.check(list, engine)
      count += list.count
    }
    guard count <= Limits.keyCountMax else { throw Arguments.tooMany("keys", count, Limits.keyCountMax) }
    group = lists.first.map { Int($0.group) } ?? 0
    keys = .allocate(capacity: count)
    var start = 0
    for list in lists {
      KeyReader.fill(keys.extracting(start..<start + list.count), list)
      start += list.count
    }
  }

  func free() { keys.deallocate() }

  private static func check(_ list: roost_keys, _ engine: Engine) throws(RoostError) {
    guard 0...Limits.keyCountMax ~= list.count else { throw Arguments.tooMany("keys", list.count, Limits.keyCountMax) }
    guard Key.hashByteCountMin...Key.hashByteCountMax ~= list.stride else {
      throw RoostError(
        .invalidInput,
        "a block hash has \(Key.hashByteCountMin) to \(Key.hashByteCountMax) bytes, not \(list.stride)")
    }
    guard engine.configuration.groups.indices.contains(Int(list.group)) else {
      throw RoostError(
        .invalidInput, "there is no group \(list.group); the engine has \(engine.configuration.groups.count)")
    }
    guard engine.knows(IdentityID(rawValue: list.identity)) else {
      throw RoostError(.invalidInput, "identity \(list.identity) was not given out by this engine")
    }
    _ = try Arguments.bytes(list.hashes, count: list.count * list.stride, max: .max, "hashes")
  }

  private static func fill(_ keys: UnsafeMutableBufferPointer<Key>, _ list: roost_keys) {
    guard let hashes = list.hashes else { return }
    let identity = IdentityID(rawValue: list.identity)
    let group = UInt16(list.group)
    typealias Words = (UInt64, UInt64, UInt64, UInt64)
    for index in 0..<list.count {
      let start = hashes + index * list.stride
      let key =
        if list.stride == Key.hashByteCountMax {
          Key(identity: identity, group: group, words: start.loadUnaligned(as: Words.self))
        } else {
          Key(identity: identity, group: group, hash: UnsafeRawBufferPointer(start: start, count: list.stride))
        }
      keys.initializeElement(at: index, to: key)
    }
  }
}

extension RequestID {
  /// A caller's number of a request.
  ///
  /// - Throws: `invalidInput` for those that are the engine's own.
  static func checked(_ number: UInt64) throws(RoostError) -> RequestID {
    guard number < .max - 1 else {
      throw RoostError(.invalidInput, "no request may have the number UINT64_MAX or UINT64_MAX - 1")
    }
    return RequestID(rawValue: number)
  }
}
