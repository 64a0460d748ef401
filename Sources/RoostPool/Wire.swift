import RoostPrimitives

/// The messages on a pool's socket. Each is one packet: an 8-byte header (kind, magic), then the fields in the
/// machine's byte order. The first two messages keep their form for ever, so that versions can disagree politely.
enum Wire {
  /// The version of everything after the first two messages.
  static let version: UInt32 = 1
  private static let magic: UInt32 = 0x5352_4F52

  enum Kind: UInt32 {
    /// Worker to owner, first: version, boot token.
    case hello = 1
    /// Owner to worker, first: fields of `Welcome`, with the table and the member lock.
    case welcome = 2
    /// Owner to worker, instead: an error code and a text.
    case refusal = 3
    /// Owner to worker: a chunk, with its file.
    case chunk = 4
    /// Owner to worker: a chunk has been cut.
    case cut = 5
    /// Owner to worker: what had happened before the attachment has been told.
    case ready = 6
    /// Either way: bytes of the application.
    case application = 7
    /// Either way: the last message; the sender's mapping is gone, or the owner closes.
    case goodbye = 8
  }

  /// The largest packet.
  static let packetByteCountMax = Limits.messageByteCountMax + headerBytes
  static let headerBytes = 8

  /// A packet with bytes of the application.
  ///
  /// - Throws: `invalidInput` if there are too many.
  static func application(_ bytes: UnsafeRawBufferPointer) throws(RoostError) -> [UInt8] {
    guard bytes.count <= Limits.messageByteCountMax else {
      throw RoostError(
        .invalidInput, "a message has at most \(Limits.messageByteCountMax) bytes, not \(bytes.count); split it")
    }
    var writer = Writer(.application, capacity: bytes.count)
    writer.append(bytes)
    return writer.bytes
  }

  /// The same from an array, whose own `withUnsafeBytes` forgets the type of what is thrown.
  static func application(_ bytes: [UInt8]) throws(RoostError) -> [UInt8] {
    let packet = bytes.withUnsafeBytes { bytes in
      Result { () throws(RoostError) in try application(bytes) }
    }
    return try packet.get()
  }

  /// A packet under construction.
  struct Writer {
    private(set) var bytes: [UInt8] = []

    init(_ kind: Kind, capacity: Int = 64) {
      bytes.reserveCapacity(Wire.headerBytes + capacity)
      append(kind.rawValue)
      append(Wire.magic)
    }

    mutating func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ content: UnsafeRawBufferPointer) { bytes.append(contentsOf: content) }
  }

  /// Reads a packet from outside; nothing in it is believed.
  struct Reader {
    let kind: Kind
    private(set) var rest: UnsafeRawBufferPointer

    /// nil for anything that is not one of our packets.
    init?(_ packet: UnsafeRawBufferPointer) {
      guard packet.count >= Wire.headerBytes, packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self) == Wire.magic,
        let kind = Kind(rawValue: packet.loadUnaligned(as: UInt32.self))
      else { return nil }
      self.kind = kind
      rest = UnsafeRawBufferPointer(rebasing: packet[Wire.headerBytes...])
    }

    /// The next field, nil if the packet is too short.
    mutating func next<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type = Value.self) -> Value? {
      guard rest.count >= MemoryLayout<Value>.size else { return nil }
      let value = rest.loadUnaligned(as: Value.self)
      rest = UnsafeRawBufferPointer(rebasing: rest[MemoryLayout<Value>.size...])
      return value
    }
  }
}

/// What a worker says first.
struct Hello: Hashable, Sendable {
  var version: UInt32
  var tableFormat: UInt32
  var boot: BootToken

  var packet: [UInt8] {
    var writer = Wire.Writer(.hello)
    writer.append(version)
    writer.append(tableFormat)
    writer.append(boot.words.0)
    writer.append(boot.words.1)
    return writer.bytes
  }

  init(version: UInt32, tableFormat: UInt32, boot: BootToken) {
    self.version = version
    self.tableFormat = tableFormat
    self.boot = boot
  }

  init?(_ reader: Wire.Reader) {
    var reader = reader
    guard reader.kind == .hello, let version = reader.next(UInt32.self), let format = reader.next(UInt32.self),
      let high = reader.next(UInt64.self), let low = reader.next(UInt64.self)
    else { return nil }
    self.init(version: version, tableFormat: format, boot: BootToken(words: (high, low)))
  }
}

/// What the owner answers to a worker that it takes. The table's header says everything else.
struct Welcome: Hashable, Sendable {
  var attachment: AttachmentID
  var hugePages: Bool

  var packet: [UInt8] {
    var writer = Wire.Writer(.welcome)
    writer.append(Wire.version)
    writer.append(attachment.index)
    writer.append(attachment.epoch)
    writer.append(UInt32(hugePages ? 1 : 0))
    return writer.bytes
  }

  init(attachment: AttachmentID, hugePages: Bool) {
    self.attachment = attachment
    self.hugePages = hugePages
  }

  init?(_ reader: Wire.Reader) {
    var reader = reader
    guard reader.kind == .welcome, reader.next(UInt32.self) == Wire.version, let index = reader.next(UInt32.self),
      let epoch = reader.next(UInt32.self), let hugePages = reader.next(UInt32.self),
      index < UInt32(Limits.attachmentCountMax)
    else { return nil }
    self.init(attachment: AttachmentID(index: index, epoch: epoch), hugePages: hugePages != 0)
  }
}

/// Why an owner does not take a worker: a code and a sentence.
enum Refusal {
  static func packet(_ error: RoostError) -> [UInt8] {
    var writer = Wire.Writer(.refusal)
    let code = Array(error.code.rawValue.utf8)
    writer.append(UInt32(code.count))
    code.withUnsafeBytes { writer.append($0) }
    Array(error.message.utf8).withUnsafeBytes { writer.append($0) }
    return writer.bytes
  }

  static func error(_ reader: Wire.Reader) -> RoostError {
    var reader = reader
    guard let count = reader.next(UInt32.self), Int(count) <= reader.rest.count else {
      return RoostError(.corrupt, "the pool's owner refused, in words that make no sense")
    }
    let code = String(decoding: reader.rest[..<Int(count)], as: UTF8.self)
    let message = String(decoding: reader.rest[Int(count)...], as: UTF8.self)
    return RoostError(RoostError.Code(rawValue: code) ?? .system, message)
  }
}

/// What the owner tells every attachment about the memory, in the order in which it came about.
enum Announcement: Sendable {
  case chunk(Int, byteCount: Int, file: Descriptor)
  case cut(ChunkLedger.Piece)

  var packet: [UInt8] {
    switch self {
    case .chunk(let chunk, let byteCount, _):
      var writer = Wire.Writer(.chunk)
      writer.append(UInt64(chunk))
      writer.append(UInt64(byteCount))
      return writer.bytes
    case .cut(let piece):
      var writer = Wire.Writer(.cut)
      writer.append(UInt64(piece.chunk))
      writer.append(UInt64(piece.slotClass))
      writer.append(piece.slots.lowerBound)
      writer.append(UInt32(piece.slots.count))
      return writer.bytes
    }
  }

  var file: Descriptor? {
    if case .chunk(_, _, let file) = self { return file }
    return nil
  }

  /// Reads a chunk's number and size; nil if they do not fit the plan.
  static func chunk(_ reader: Wire.Reader, _ plan: ChunkPlan) -> (chunk: Int, byteCount: Int)? {
    var reader = reader
    guard let chunk = reader.next(UInt64.self), chunk < UInt64(plan.chunkCount), let bytes = reader.next(UInt64.self),
      bytes > 0, bytes <= UInt64(plan.byteCount(of: Int(chunk)))
    else { return nil }
    return (Int(chunk), Int(bytes))
  }

  /// Reads a cut; nil if it does not fit the plan.
  static func cut(_ reader: Wire.Reader, _ plan: ChunkPlan) -> ChunkLedger.Piece? {
    var reader = reader
    guard let chunk = reader.next(UInt64.self), chunk < UInt64(plan.chunkCount),
      let slotClass = reader.next(UInt64.self), slotClass < UInt64(plan.sizes.count),
      let first = reader.next(UInt32.self), let count = reader.next(UInt32.self),
      Int(count) <= plan.slotCount(of: Int(slotClass), in: plan.byteCount(of: Int(chunk))),
      Int(first) + Int(count) <= plan.slotCountMax
    else { return nil }
    return ChunkLedger.Piece(chunk: Int(chunk), slotClass: Int(slotClass), slots: first..<first + count)
  }
}
