import CRoostABI
import RoostEngine
import RoostPrimitives

/// What callers hold instead of pointers: a place in a table, how often it was used before, what kind of thing it is, and
/// in which process it was made. So a handle that is closed, foreign or invented is recognised.
///
///     bits 63-56 forks between the library's loading and the making, 55-32 use, 31-28 kind, 27-0 place + 1
///
/// Thread-safe. The lock is one that a fork leaves free.
final class HandleTable: @unchecked Sendable {
  // Everything below is touched with the lock of abi_thread.h held.
  private var entries: [Entry] = []
  private var unused: [Int] = []

  static let shared = HandleTable()

  /// What a handle can stand for.
  enum Kind: UInt64 {
    case engine = 1
    case worker = 2
    case device = 3
    case stream = 4
    case event = 5
    case block = 6

    var name: String {
      switch self {
      case .engine: "engine"
      case .worker: "worker"
      case .device: "device"
      case .stream: "stream"
      case .event: "event"
      case .block: "block"
      }
    }
  }

  private struct Entry {
    var object: AnyObject?
    var use: UInt64
    var kind: Kind
  }

  func add(_ object: AnyObject, _ kind: Kind) throws(RoostError) -> UInt64 {
    let generation = UInt64(roost_abi_generation() & 0xFF)
    roost_abi_lock()
    defer { roost_abi_unlock() }
    let place: Int
    if let free = unused.popLast() {
      place = free
      entries[place].object = object
      entries[place].use = (entries[place].use + 1) & 0xFF_FFFF
      entries[place].kind = kind
    } else {
      guard entries.count < Limits.handleCountMax else {
        throw RoostError(.outOfResources, "\(Limits.handleCountMax) handles are open; close some")
      }
      place = entries.count
      entries.append(Entry(object: object, use: 1, kind: kind))
    }
    return generation << 56 | entries[place].use << 32 | kind.rawValue << 28 | UInt64(place + 1)
  }

  /// The object behind a handle.
  ///
  /// - Throws: `stale` for whatever is no open handle of this kind and process.
  func find(_ handle: UInt64, _ kind: Kind) throws(RoostError) -> AnyObject {
    try check(handle, kind)
    roost_abi_lock()
    defer { roost_abi_unlock() }
    guard let place = place(of: handle, kind), let object = entries[place].object else {
      throw HandleTable.stale(kind)
    }
    return object
  }

  /// Takes the object out: the handle is over.
  func remove(_ handle: UInt64, _ kind: Kind) throws(RoostError) -> AnyObject {
    try check(handle, kind)
    roost_abi_lock()
    defer { roost_abi_unlock() }
    guard let place = place(of: handle, kind), let object = entries[place].object else {
      throw HandleTable.stale(kind)
    }
    entries[place].object = nil
    unused.append(place)
    return object
  }

  private func check(_ handle: UInt64, _ kind: Kind) throws(RoostError) {
    guard handle >> 28 & 0xF == kind.rawValue else {
      throw RoostError(.stale, handle == 0 ? "the handle is zero" : "the handle is no \(kind.name)'s")
    }
    guard handle >> 56 == UInt64(roost_abi_generation() & 0xFF) else {
      throw RoostError(
        .stale,
        "this process was forked from the one that opened the \(kind.name), which cannot be used here; open one after "
          + "the fork, or start processes by spawn")
    }
  }

  private func place(of handle: UInt64, _ kind: Kind) -> Int? {
    let place = Int(handle & 0xFFF_FFFF) - 1
    guard entries.indices.contains(place), entries[place].kind == kind,
      entries[place].use == handle >> 32 & 0xFF_FFFF
    else { return nil }
    return place
  }

  private static func stale(_ kind: Kind) -> RoostError {
    RoostError(.stale, "the \(kind.name) is closed, or its handle was never given out")
  }
}

extension HandleTable {
  func engine(_ handle: roost_engine) throws(RoostError) -> Engine {
    // The kind is part of the handle and was checked.
    unsafeDowncast(try find(handle, .engine), to: Engine.self)
  }

  func worker(_ handle: roost_worker) throws(RoostError) -> EmbeddedWorker {
    // As above.
    unsafeDowncast(try find(handle, .worker), to: EmbeddedWorker.self)
  }
}
