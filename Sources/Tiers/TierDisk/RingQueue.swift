import CRoostPlatform
import CRoostRing
import Glibc
import RoostPrimitives
import RoostStorage

/// A queue on io_uring: operations go to the kernel in batches, one system call each, and complete without threads of
/// ours.
final class RingQueue: StorageQueue, @unchecked Sendable {
  // `wait` reads the ring's descriptor only, which never changes, and `register` has a lock; everything else is the one
  // caller's.
  private let ring: OpaquePointer
  private let depth: Int
  private let isDirect: Bool
  private var inFlight: [UInt64: (operation: StorageOperation, parts: Int)] = [:]
  /// Two for each operation: they must stay where they are until the kernel has started it.
  private let parts: UnsafeMutablePointer<iovec>
  private var freeParts: [Int]
  private var failed: [StorageCompletion] = []
  private var results: [roost_ring_result]
  private var files: RingFiles
  private let memory: RingMemory
  private var memoryPlaces: [CInt] = []

  /// `pinnedBytesMax`: memory that may be pinned; the limit on locked memory if nobody says. `fileCountMax`: files that are
  /// registered.
  init(
    depth: Int, isDirect: Bool, pinnedBytesMax: Int? = nil, fileCountMax: Int = Limits.ringFileCountMax
  ) throws(RoostError) {
    var made: OpaquePointer?
    let result = roost_ring_open(UInt32(depth), &made)
    guard result >= 0, let ring = made else {
      let code: RoostError.Code = result == -ENOMEM ? .outOfResources : .unsupported
      throw RoostError(code, "io_uring is not available", context: [("reason", String(cString: strerror(-result)))])
    }
    self.ring = ring
    self.depth = depth
    self.isDirect = isDirect
    results = Array(repeating: roost_ring_result(token: 0, result: 0), count: 64)
    parts = .allocate(capacity: 2 * depth)
    freeParts = Array(0..<depth)
    files = RingFiles(ring, countMax: fileCountMax)
    memory = RingMemory(ring, byteCountMax: pinnedBytesMax)
  }

  deinit {
    roost_ring_close(ring)
    parts.deallocate()
  }

  var description: String { "io_uring, " + (isDirect ? "direct" : "cached") }

  var registeredBytes: Int { memory.pinnedBytes }

  /// Operations on registered memory so far, and the files that are registered.
  var registration: (operationCount: Int, fileCount: Int) { (memory.operationCount, files.count) }

  var alignment: Int { isDirect ? Limits.granuleBytes : 1 }

  func register(_ memory: UnsafeMutableRawBufferPointer) { self.memory.register(memory) }

  func submit(_ operations: [StorageOperation]) {
    memoryPlaces.removeAll(keepingCapacity: true)
    memory.places(of: operations.map(RingQueue.onlyPart), into: &memoryPlaces)
    for (operation, memoryPlace) in zip(operations, memoryPlaces) { enqueue(operation, memoryPlace) }
    _ = roost_ring_submit(ring)
  }

  /// The memory of an operation that has one piece of it; else none.
  private static func onlyPart(of operation: StorageOperation) -> UnsafeMutableRawBufferPointer {
    operation.second.count == 0 ? operation.first : UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  private func enqueue(_ operation: StorageOperation, _ memoryPlace: CInt) {
    guard let file = operation.file as? DiskFile else { preconditionFailure("a file of another storage") }
    guard let place = freeParts.popLast() else { preconditionFailure("more operations than the queue is deep") }
    let pair = parts + 2 * place
    pair[0] = iovec(iov_base: operation.first.baseAddress, iov_len: operation.first.count)
    pair[1] = iovec(iov_base: operation.second.baseAddress, iov_len: operation.second.count)
    let kind =
      switch operation.kind {
      case .read: ROOST_RING_READ
      case .write: ROOST_RING_WRITE
      case .sync: ROOST_RING_SYNC
      }
    var entry = roost_ring_operation(
      token: operation.token, offset: Int64(operation.offset), parts: pair,
      part_count: operation.second.count > 0 ? 2 : 1, kind: CInt(kind), descriptor: file.queueDescriptor,
      file_place: files.place(of: file), memory_place: memoryPlace)
    let result = roost_ring_queue(ring, &entry)
    if result < 0 {
      freeParts.append(place)
      failed.append(StorageCompletion(token: operation.token, result: Int(result)))
    } else {
      inFlight[operation.token] = (operation, place)
    }
  }

  func poll(into completions: inout [StorageCompletion]) {
    completions += failed
    failed.removeAll(keepingCapacity: true)
    // What the kernel could not start for the moment (-EAGAIN, -EBUSY) is on the ring still.
    if !inFlight.isEmpty { _ = roost_ring_submit(ring) }
    while true {
      let count = Int(roost_ring_reap(ring, &results, UInt32(results.count)))
      for result in results[..<count] {
        if let ended = inFlight.removeValue(forKey: result.token) { freeParts.append(ended.parts) }
        completions.append(StorageCompletion(token: result.token, result: Int(result.result)))
      }
      if count < results.count { return }
    }
  }

  func wait(until deadline: Deadline) -> Bool {
    var entry = pollfd(fd: roost_ring_descriptor(ring), events: Int16(POLLIN), revents: 0)
    let milliseconds = min(deadline.secondsLeft() * 1000, 1_000_000).rounded(.up)
    return Glibc.poll(&entry, 1, CInt(milliseconds)) > 0
  }

  func close() {
    var rest: [StorageCompletion] = []
    while !inFlight.isEmpty {
      poll(into: &rest)
      if !inFlight.isEmpty { _ = wait(until: .after(seconds: 1)) }
    }
    // At once, and not some time after the ring has gone: the kernel takes its time with that.
    files.close()
    memory.close()
    roost_ring_unregister(ring)
  }
}
