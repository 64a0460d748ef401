import CZstd
import Glibc
import RoostConsole
import RoostPrimitives

/// The bytes of a trace file or of standard input, decompressed if they are zstd, as one stream. Not thread-safe.
///
/// What the bytes are is told by their first four, not by the name.
final class TraceBytes {
  /// The file's name as messages write it.
  let name: String
  private let descriptor: CInt
  private var decoder: ZstdDecoder?
  private let input: UnsafeMutableRawBufferPointer
  private var unread: Range<Int> = 0..<0
  private var isSniffed = false
  private var isAtEnd = false

  /// Opens a file; `-` is standard input.
  ///
  /// - Throws: `notFound` or `invalidInput`, with what to do.
  init(path: String) throws(RoostError) {
    name = path == "-" ? "standard input" : path
    descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let number = errno
      if number == ENOENT {
        throw RoostError(
          .notFound,
          "there is no file '\(path)'; give a trace (.jsonl or .jsonl.zst), - for standard input, or nothing for the built-in workload"
        )
      }
      throw RoostError(.invalidInput, "cannot open '\(path)': \(String(cString: strerror(number)))")
    }
    input = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.readByteCount, alignment: 64)
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      throw RoostError(.invalidInput, "'\(path)' is a directory; give one of the traces in it")
    }
  }

  deinit {
    if descriptor > STDIN_FILENO { close(descriptor) }
    input.deallocate()
  }

  /// Fills the front of `target`; returns how many bytes there were, 0 at the end.
  ///
  /// - Throws: `invalidInput` for damaged or truncated compressed data, `cancelled` after Ctrl-C, `system`.
  func read(into target: UnsafeMutableRawBufferPointer) throws(RoostError) -> Int {
    if !isSniffed { try sniff() }
    guard let decoder else {
      if unread.isEmpty { try refill() }
      let count = min(unread.count, target.count)
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[unread.prefix(count)]))
      unread = unread.dropFirst(count)
      return count
    }
    while true {
      if unread.isEmpty { try refill() }
      let step = try decoder.decode(UnsafeRawBufferPointer(rebasing: input[unread]), into: target, of: name)
      unread = unread.dropFirst(step.consumed)
      if step.produced > 0 { return step.produced }
      if unread.isEmpty, isAtEnd {
        guard decoder.isBetweenFrames else { throw truncated() }
        return 0
      }
    }
  }

  private func truncated() -> RoostError {
    RoostError(.invalidInput, "\(name) ends in the middle of its compressed data; copy or download it again")
  }

  /// Reads until at least the four bytes are there that tell what the file is.
  private func sniff() throws(RoostError) {
    isSniffed = true
    while unread.count < 4, !isAtEnd { try refill() }
    let head = Array(input[unread.prefix(4)])
    if head.starts(with: [0x1F, 0x8B]) {
      throw RoostError(.invalidInput, "\(name) is compressed with gzip; unpack it (gunzip), or pack it with zstd")
    }
    guard head.count == 4 else {
      // Shorter than any frame: the beginning of one is a truncated file, anything else is left to the line parser.
      if !head.isEmpty, ZstdDecoder.magic.starts(with: head) { throw truncated() }
      return
    }
    let isSkippable = (0x50...0x5F).contains(head[0]) && head[1...] == [0x2A, 0x4D, 0x18]
    if head == ZstdDecoder.magic || isSkippable { decoder = try ZstdDecoder() }
  }

  /// Reads more behind what is unread. At the end of the file nothing is added.
  private func refill() throws(RoostError) {
    if unread.isEmpty { unread = 0..<0 }
    let space = UnsafeMutableRawBufferPointer(rebasing: input[unread.upperBound...])
    while !isAtEnd {
      let count = Glibc.read(descriptor, space.baseAddress, space.count)
      if count > 0 {
        unread = unread.lowerBound..<(unread.upperBound + count)
        return
      }
      if count == 0 {
        isAtEnd = true
      } else if errno != EINTR {
        throw .system("read", errno, "cannot read \(name)")
      } else if StopRequest.isMade {
        throw RoostError(.cancelled, "interrupted")
      }
    }
  }
}
