import RoostPrimitives

/// A directory of files on some storage, real or simulated: with `StorageFile` and `StorageQueue` the one seam through
/// which tiers do file I/O. So the very code that runs in production also runs on storage that tears, loses and
/// misdirects writes.
///
/// Names are plain file names, without a slash. Thread-safe.
public protocol StorageDirectory: AnyObject, Sendable {
  /// What to call it in messages.
  var path: String { get }

  /// The names of the files, in no particular order.
  func names() throws(RoostError) -> [String]

  /// Opens a file that exists, for reading and writing.
  ///
  /// - Throws: `notFound`.
  func open(_ name: String) throws(RoostError) -> any StorageFile

  /// Makes a file of this size, really allocated and reading as zeros, in the place of what had the name. Nothing is
  /// left behind if it fails.
  ///
  /// - Throws: `outOfResources` when the storage is full.
  func create(_ name: String, byteCount: Int) throws(RoostError) -> any StorageFile

  /// Gives a file a new name, in the place of what had it.
  func rename(_ name: String, to newName: String) throws(RoostError)

  /// Removes a file; one that is not there is removed already.
  func remove(_ name: String) throws(RoostError)

  /// Opens or makes a small file that at most one process has open, until it is closed or the process ends.
  ///
  /// - Throws: `busy`, with the other's process id where it is known.
  func lock(_ name: String) throws(RoostError) -> any StorageFile

  /// Makes names, new and removed, survive a loss of power.
  func sync() throws(RoostError)

  /// Makes a queue for up to `depth` operations at once.
  func makeQueue(depth: Int) throws(RoostError) -> any StorageQueue
}

/// An open file. The calls here block and are complete when they return; bulk goes through a `StorageQueue`.
/// Thread-safe. Closed with its last reference.
public protocol StorageFile: AnyObject, Sendable {
  /// The length of the file.
  var byteCount: Int { get }

  /// What the file takes of its storage, the file system's own blocks included.
  var allocatedBytes: Int { get }

  /// Reads up to `memory.count` bytes; fewer only where the file ends.
  func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(RoostError) -> Int

  /// Writes all of `bytes`, inside the file or at its end.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(RoostError)

  /// Makes what was written survive a loss of power.
  func sync() throws(RoostError)
}

/// Runs many operations at once on the files of one directory.
///
/// Not thread-safe, but for `wait`, `register` and `registeredBytes`, which any thread may call at any time.
public protocol StorageQueue: AnyObject, Sendable {
  /// How it works, for reports: `io_uring, direct`.
  var description: String { get }

  /// The alignment that addresses, lengths and offsets must have, a power of two.
  var alignment: Int { get }

  /// Prepares for operations on this memory, which stays until the queue is closed. A hint: operations on other memory
  /// work as well. May take milliseconds, in which operations cannot be started. Thread-safe.
  func register(_ memory: UnsafeMutableRawBufferPointer)

  /// Bytes of memory that were prepared so, and are pinned. Thread-safe.
  var registeredBytes: Int { get }

  /// Starts operations. Memory must stay until each has completed. The caller keeps what is in flight within the
  /// depth of the queue.
  func submit(_ operations: [StorageOperation])

  /// Appends what has completed, in any order.
  func poll(into completions: inout [StorageCompletion])

  /// Waits until there may be completions. False if the deadline passed first.
  func wait(until deadline: Deadline) -> Bool

  /// Waits for what is in flight, and ends.
  func close()
}

extension StorageQueue {
  /// Gains nothing by it.
  public func register(_ memory: UnsafeMutableRawBufferPointer) {}

  /// None.
  public var registeredBytes: Int { 0 }
}

/// One operation of a `StorageQueue`.
public struct StorageOperation: @unchecked Sendable {
  // The memory belongs to the queue until the operation has completed.

  /// The three kinds.
  public enum Kind: Sendable {
    /// File to memory.
    case read
    /// Memory to file; a part that is cut off by a loss of power may be any of its sectors.
    case write
    /// What was written before survives a loss of power afterwards.
    case sync
  }

  /// What to do.
  public var kind: Kind
  /// The number that the completion carries.
  public var token: UInt64
  /// On which file.
  public var file: any StorageFile
  /// Where in the file.
  public var offset: Int
  /// The first part of the memory.
  public var first: UnsafeMutableRawBufferPointer
  /// The second part, which continues the first one in the file; may be empty.
  public var second: UnsafeMutableRawBufferPointer

  /// Describes an operation.
  public init(_ kind: Kind, token: UInt64, file: any StorageFile, offset: Int = 0) {
    self.kind = kind
    self.token = token
    self.file = file
    self.offset = offset
    first = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    second = first
  }

  /// The bytes to move.
  public var byteCount: Int { first.count + second.count }

  /// What is left to do after the first `count` bytes.
  public func remainder(after count: Int) -> StorageOperation {
    var rest = self
    rest.offset += count
    let inFirst = min(count, first.count)
    rest.first = UnsafeMutableRawBufferPointer(rebasing: first[inFirst...])
    rest.second = UnsafeMutableRawBufferPointer(rebasing: second[(count - inFirst)...])
    if rest.first.count == 0 { swap(&rest.first, &rest.second) }
    return rest
  }
}

/// The end of a `StorageOperation`.
public struct StorageCompletion: Sendable {
  /// The operation's number.
  public var token: UInt64
  /// Bytes moved, perhaps fewer than asked for; or a negated errno.
  public var result: Int

  /// Describes a completion.
  public init(token: UInt64, result: Int) {
    self.token = token
    self.result = result
  }
}
