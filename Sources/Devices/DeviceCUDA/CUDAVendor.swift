/// Who makes the devices and what their driver library is called: the same interface under another prefix is another
/// table, not another implementation.
public struct CUDAVendor: Sendable {
  /// The kind in a device's URI.
  public var scheme: String
  /// The vendor's name.
  public var name: String
  /// What every function's name begins with.
  public var prefix: String
  /// Names under which the driver library may be found, best first.
  public var libraries: [String]
  /// Whether the driver compiles PTX text.
  public var readsPTX: Bool
  /// Parts of a library's path that say that it is somebody else's, who took the name for compatibility.
  public var foreignPathParts: [String]

  /// NVIDIA.
  public static let nvidia = CUDAVendor(
    scheme: "cuda", name: "NVIDIA", prefix: "cu",
    libraries: ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"], readsPTX: true,
    foreignPathParts: ["xpucuda", "kunlun"])

  /// Moore Threads: CUDA's driver interface with the prefix changed.
  public static let mooreThreads = CUDAVendor(
    scheme: "musa", name: "Moore Threads", prefix: "mu", libraries: ["libmusa.so.1", "libmusa.so"], readsPTX: false,
    foreignPathParts: [])
}

/// How to open a CUDA device; the defaults are right except in tests.
public struct CUDADeviceConfiguration: Sendable {
  /// The device's number among those that the driver shows.
  public var index: Int
  /// Who makes it.
  public var vendor: CUDAVendor
  /// The driver library's path; nil: the vendor's names, one after another.
  public var library: String?
  /// How batches are copied; nil: by their sizes and what was measured.
  public var path: CopyPath?
  /// Whether `allocate` makes memory that is exported as a file descriptor instead of a handle. Sizes are rounded up to
  /// 2 MiB.
  public var sharesByDescriptor: Bool
  /// Whether the device measures, before its first stream is used, which path is best for which batch.
  public var calibrates: Bool
  /// The library for groups of devices (NCCL); nil: the one that the process has already, if it has one.
  public var collectiveLibrary: String?
  /// The library for files (GPUDirect Storage); nil: files are refused. Some versions never return from being opened.
  public var directStorageLibrary: String?
  /// How long these two may take for what does not return by itself.
  public var sideSeconds: Double = 20

  /// The standard configuration with exceptions.
  public init(
    index: Int = 0, vendor: CUDAVendor = .nvidia, library: String? = nil, path: CopyPath? = nil,
    sharesByDescriptor: Bool = false, calibrates: Bool = true
  ) {
    self.index = index
    self.vendor = vendor
    self.library = library
    self.path = path
    self.sharesByDescriptor = sharesByDescriptor
    self.calibrates = calibrates
  }
}
