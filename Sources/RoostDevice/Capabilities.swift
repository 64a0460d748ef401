/// What a device can do beyond the required minimum. Ask here first; a call without the capability throws
/// `unsupported`.
public struct Capabilities: OptionSet, Hashable, Sendable {
  /// One bit a capability.
  public let rawValue: UInt32
  /// Wraps bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The host may read and write device memory through its address.
  public static let hostAddressable = Capabilities(rawValue: 1 << 0)
  /// Copies between device and host go on while the host computes.
  public static let asynchronousCopy = Capabilities(rawValue: 1 << 1)
  /// One call submits many copies.
  public static let batchedCopy = Capabilities(rawValue: 1 << 2)
  /// One call copies rows with a pitch on both sides.
  public static let stridedCopy = Capabilities(rawValue: 1 << 3)
  /// Host memory can be page-locked or otherwise made fast to copy.
  public static let hostRegistration = Capabilities(rawValue: 1 << 4)
  /// Events measure the time between them.
  public static let eventTiming = Capabilities(rawValue: 1 << 5)
  /// A stream can call a host function in order.
  public static let hostCallbacks = Capabilities(rawValue: 1 << 6)
  /// Streams of high priority overtake those of normal priority.
  public static let streamPriority = Capabilities(rawValue: 1 << 7)
  /// Device memory can be opened in another process.
  public static let interProcessMemory = Capabilities(rawValue: 1 << 8)
  /// Files are read into and written from device memory without a copy on the host.
  public static let directStorage = Capabilities(rawValue: 1 << 9)
  /// Devices of one kind can reduce and gather among themselves.
  public static let collectives = Capabilities(rawValue: 1 << 10)

  /// The names of all capabilities, in the order of their bits, as they are printed.
  public static let names: [(capability: Capabilities, name: String)] = [
    (.hostAddressable, "host-addressable"), (.asynchronousCopy, "asynchronous-copy"), (.batchedCopy, "batched-copy"),
    (.stridedCopy, "strided-copy"), (.hostRegistration, "host-registration"), (.eventTiming, "event-timing"),
    (.hostCallbacks, "host-callbacks"), (.streamPriority, "stream-priority"),
    (.interProcessMemory, "inter-process-memory"), (.directStorage, "direct-storage"), (.collectives, "collectives"),
  ]
}

/// The data types that keys and values come in.
public enum DataType: String, Sendable, CaseIterable {
  /// 32-bit IEEE 754.
  case float32
  /// 16-bit IEEE 754.
  case float16
  /// bfloat16.
  case bfloat16
  /// 8-bit float, 4 exponent bits.
  case float8e4m3
  /// 8-bit float, 5 exponent bits.
  case float8e5m2
  /// 8-bit integer.
  case int8
  /// Two 4-bit values a byte.
  case packed4bit
}

/// What a device is; constant while the process lives, except for the free memory.
public struct DeviceDescription: Sendable {
  /// The name that opens it: `cpu:0`.
  public var uri: String
  /// The product's name.
  public var name: String
  /// Who makes it.
  public var vendor: String
  /// Installed memory.
  public var memoryBytes: Int
  /// What the device stores natively.
  public var dataTypes: [DataType]
  /// Engines that copy beside the compute units; 0 if copies use the compute units.
  public var copyEngineCount: Int
  /// The NUMA node that the device hangs on, nil if unknown or there is only one.
  public var numaNode: Int?
  /// What it can do.
  public var capabilities: Capabilities
  /// The shortest contiguous run, in bytes, that the device's own copy path moves at a good speed; shorter runs are
  /// worth staging. 0: every run is.
  public var efficientRunBytes: Int
  /// The version of the vendor's driver as the vendor writes it; nil if there is none.
  public var driverVersion: String?
  /// The address on the PCI bus, `0000:17:00.0`; nil if it has none.
  public var busAddress: String?
  /// Whether this implementation was ever run on such a device; if not, it was tested on a simulated driver alone.
  public var isTestedOnHardware = true

  /// Describes a device.
  public init(
    uri: String, name: String, vendor: String, memoryBytes: Int, dataTypes: [DataType], copyEngineCount: Int,
    numaNode: Int?, capabilities: Capabilities, efficientRunBytes: Int
  ) {
    self.uri = uri
    self.name = name
    self.vendor = vendor
    self.memoryBytes = memoryBytes
    self.dataTypes = dataTypes
    self.copyEngineCount = copyEngineCount
    self.numaNode = numaNode
    self.capabilities = capabilities
    self.efficientRunBytes = efficientRunBytes
  }
}
