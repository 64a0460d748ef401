// swift-tools-version: 6.2
// Every build flag stands here, so that plain `swift build -c release` is the measured build.
import PackageDescription

/// Swift 6 language mode and strict concurrency come with the tools version. Warnings are errors.
/// Cross-module optimisation matters: a generic or small function called across modules is ten
/// times slower without it (docs/performance.md).
let swiftSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

let cSettings: [CSetting] = [
  .define("_GNU_SOURCE"),
  .unsafeFlags(["-Wall", "-Wextra", "-Werror"]),
  .unsafeFlags(["-O2"], .when(configuration: .debug)),
]

/// A Swift target of ours: name, folder below Sources/, what it may import.
func module(_ name: String, at folder: String? = nil, _ dependencies: [String]) -> Target {
  .target(
    name: name, dependencies: dependencies.map { .byName(name: $0) }, path: "Sources/" + (folder ?? name),
    swiftSettings: swiftSettings)
}

/// A test target; tests may import anything.
func tests(_ name: String, _ dependencies: [String]) -> Target {
  .testTarget(
    name: name, dependencies: dependencies.map { .byName(name: $0) }, path: "Tests/\(name)",
    swiftSettings: swiftSettings)
}

/// A library from Debian, found through pkg-config.
func library(_ name: String, pkgConfig: String, apt package: String) -> Target {
  .systemLibrary(name: name, path: "Sources/Shims/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// What leaves the library: its own functions alone, and the Swift runtime stays inside. Debian calls it libroost.so.
let isFuzzing = Context.environment["ROOST_FUZZ"] != nil
let libraryLinkerSettings: [LinkerSetting] =
  isFuzzing
  ? []
  : [
    .unsafeFlags([
      "-static-stdlib", "-Xlinker", "-soname=libroost.so", "-Xlinker",
      "--version-script=\(Context.packageDirectory)/Sources/Shims/CRoostABI/exports.map",
    ])
  ]

let package = Package(
  name: "roost",
  products: [
    .executable(name: "roost", targets: ["roost"]),
    .executable(name: "gpu-check", targets: ["gpu-check"]),
    .library(name: "RoostABI", type: .dynamic, targets: ["RoostABI"]),
    .library(name: "ExampleDevice", type: .dynamic, targets: ["ExampleDevice"]),
    .library(name: "SimulatedDrivers", type: .dynamic, targets: ["SimulatedDrivers"]),
  ],
  targets: [
    library("CXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev"),
    library("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
    library("CCrypto", pkgConfig: "libcrypto", apt: "libssl-dev"),
    // Linked statically: what loads libroost need not have liburing.
    .target(
      name: "CRoostRing", path: "Sources/Shims/CRoostRing", cSettings: cSettings,
      linkerSettings: [.linkedLibrary(":liburing.a")]),
    .target(name: "CRoostVendors", path: "Sources/Shims/CRoostVendors", cSettings: cSettings),
    .target(name: "CRoostPlatform", path: "Sources/Shims/CRoostPlatform", cSettings: cSettings),

    module("RoostPrimitives", ["CRoostPlatform", "CCrypto", "CXXHash"]),
    module("RoostLayout", ["RoostPrimitives"]),
    module("RoostDevice", ["RoostPrimitives", "CRoostPlatform"]),
    module("RoostBlocks", ["RoostPrimitives"]),
    module("RoostPool", ["RoostPrimitives", "RoostDevice", "CRoostPlatform", "CXXHash"]),
    module("RoostTransfer", ["RoostPrimitives", "RoostLayout", "RoostDevice", "CRoostPlatform"]),
    module("RoostStorage", ["RoostPrimitives", "CZstd"]),
    module(
      "RoostEngine",
      [
        "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer", "RoostStorage",
        "CRoostPlatform",
      ]),
    module("TierDisk", at: "Tiers/TierDisk", ["RoostPrimitives", "RoostStorage", "CRoostPlatform", "CRoostRing"]),
    module("DeviceCPU", at: "Devices/DeviceCPU", ["RoostPrimitives", "RoostDevice", "CRoostPlatform"]),
    module("DeviceCUDA", at: "Devices/DeviceCUDA", ["RoostPrimitives", "RoostDevice", "CRoostVendors"]),
    module("DeviceHIP", at: "Devices/DeviceHIP", ["RoostPrimitives", "RoostDevice", "CRoostVendors"]),
    module("DeviceAscend", at: "Devices/DeviceAscend", ["RoostPrimitives", "RoostDevice", "CRoostVendors"]),
    module("DeviceKunlun", at: "Devices/DeviceKunlun", ["RoostPrimitives", "RoostDevice", "CRoostVendors"]),
    module("DevicePlugin", at: "Devices/DevicePlugin", ["RoostPrimitives", "RoostDevice", "CRoostVendors"]),
    module("DeviceMock", at: "Devices/DeviceMock", ["RoostPrimitives", "RoostDevice", "CRoostPlatform"]),
    module(
      "RoostBuiltins",
      [
        "RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostStorage", "DeviceCPU", "DeviceMock", "DeviceCUDA",
        "DeviceHIP", "DeviceAscend", "DeviceKunlun", "DevicePlugin", "TierDisk",
      ]),
    module(
      "RoostConformance", ["RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostStorage", "CRoostPlatform"]),
    module("RoostSimulation", ["RoostPrimitives", "RoostStorage"]),
    module("RoostConsole", ["RoostPrimitives", "CRoostPlatform"]),
    module("RoostLayoutText", ["RoostPrimitives", "RoostLayout", "RoostConsole"]),
    module(
      "RoostReplay",
      [
        "RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostPool", "RoostStorage", "RoostEngine", "RoostBuiltins",
        "RoostConsole", "CZstd",
      ]),
    module(
      "RoostBench",
      [
        "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer", "RoostEngine",
        "RoostBuiltins", "RoostConsole", "CRoostPlatform", "RoostStorage",
      ]),
    .target(name: "CRoostABI", path: "Sources/Shims/CRoostABI", exclude: ["exports.map"], cSettings: cSettings),
    .target(
      name: "RoostABI",
      dependencies: [
        "CRoostABI", "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer",
        "RoostEngine", "RoostBuiltins", "RoostConsole", "RoostLayoutText",
      ],
      path: "Sources/RoostABI", swiftSettings: swiftSettings, linkerSettings: libraryLinkerSettings),
    .executableTarget(
      name: "roost",
      dependencies: [
        "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostPool", "RoostEngine", "RoostReplay", "RoostBench",
        "RoostBuiltins", "RoostConsole", "RoostLayoutText", "TierDisk",
      ],
      path: "Sources/roost", swiftSettings: swiftSettings,
      linkerSettings: [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]),

    .target(name: "CGlibc234", path: "Tools/gpu-check/oldest", cSettings: cSettings),
    .executableTarget(
      name: "gpu-check",
      dependencies: [
        "RoostPrimitives", "RoostDevice", "RoostConformance", "RoostConsole", "DeviceCUDA", "CGlibc234",
      ],
      path: "Tools/gpu-check", exclude: ["README.md", "make", "oldest"], swiftSettings: swiftSettings,
      linkerSettings: [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]),

    tests(
      "TierTests",
      [
        "RoostPrimitives", "RoostStorage", "RoostSimulation", "RoostConformance", "RoostBuiltins", "RoostBlocks",
        "RoostReplay", "TierDisk", "TierProbe",
      ]),
    .executableTarget(
      name: "TierProbe",
      dependencies: ["RoostPrimitives", "RoostStorage", "RoostConformance", "RoostBuiltins", "TierDisk"],
      path: "Tests/TierProbe", swiftSettings: swiftSettings),
    tests("RoostStorageTests", ["RoostPrimitives", "RoostStorage"]),
    tests("RoostPrimitivesTests", ["RoostPrimitives"]),
    tests("RoostBlocksTests", ["RoostPrimitives", "RoostBlocks", "CZstd"]),
    tests("DeviceCPUTests", ["RoostPrimitives", "RoostDevice", "DeviceCPU", "RoostBuiltins", "CRoostPlatform"]),
    tests("RoostTransferTests", ["RoostPrimitives", "RoostLayout", "RoostDevice", "RoostTransfer", "DeviceCPU"]),
    tests("RoostConsoleTests", ["RoostPrimitives", "RoostConsole"]),
    tests("TidyTests", []),
    tests("RoostLayoutTests", ["RoostLayout", "RoostPrimitives", "roost"]),
    tests("RoostPoolTests", ["RoostPrimitives", "RoostDevice", "RoostPool", "CRoostPlatform", "PoolProbe"]),
    tests(
      "RoostEngineTests",
      [
        "RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer", "RoostEngine", "DeviceCPU",
        "RoostStorage", "TierDisk", "EngineProbe",
      ]),
    tests(
      "ConformanceTests",
      [
        "RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostBuiltins", "RoostConformance", "DeviceCPU", "DeviceMock",
        "DeviceCUDA", "DeviceHIP", "DeviceAscend", "DeviceKunlun", "DevicePlugin", "CRoostVendors", "RoostEngine",
        "RoostPool", "DeviceProbe", "gpu-check", "PolicyReference",
      ]),
    // Eviction policies in plain form, to compare ours with.
    .target(
      name: "PolicyReference", path: "Tests/PolicyReference",
      cxxSettings: [.unsafeFlags(["-std=c++17", "-O2", "-ffp-contract=off"])]),
    .target(
      name: "ExampleDevice", dependencies: ["CRoostVendors"], path: "Examples/device", publicHeadersPath: ".",
      cSettings: cSettings),
    // Vendors' drivers on host memory: libraries that tests open as a program opens the real ones.
    .target(
      name: "SimulatedDrivers", dependencies: ["CRoostVendors"], path: "Tests/SimulatedDrivers", cSettings: cSettings,
      // Tests take functions out by name: what the library calls of its own must not be looked up.
      linkerSettings: [.unsafeFlags(["-Xlinker", "-Bsymbolic"])]),
    .executableTarget(
      name: "DeviceProbe", dependencies: ["RoostPrimitives", "RoostDevice", "DeviceCPU", "DeviceCUDA"],
      path: "Tests/DeviceProbe",
      swiftSettings: swiftSettings),
    tests(
      "SimulationTests",
      [
        "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer", "RoostEngine",
        "RoostStorage", "RoostSimulation", "RoostBuiltins", "DeviceMock", "TierDisk", "CRoostPlatform",
      ]),
    .executableTarget(
      name: "EngineProbe",
      dependencies: ["RoostPrimitives", "RoostBlocks", "RoostPool", "RoostEngine", "DeviceCPU"],
      path: "Tests/EngineProbe", swiftSettings: swiftSettings),
    .executableTarget(
      name: "PoolProbe", dependencies: ["RoostPrimitives", "RoostPool", "CRoostPlatform"], path: "Tests/PoolProbe",
      swiftSettings: swiftSettings),
    tests("RoostReplayTests", ["RoostPrimitives", "RoostConsole", "RoostReplay"]),
    tests("ProgramTests", ["roost", "RoostConsole"]),
  ]
)

// The Python extension: C over roost.h, in one library with Swift. Built by setup.py, which knows where Python's headers
// lie; without them the package has no such target.
if let headers = Context.environment["ROOST_PYTHON_HEADERS"] {
  package.targets.append(
    .target(
      name: "CRoostPython", dependencies: ["CRoostABI", "RoostABI"], path: "python/native",
      publicHeadersPath: ".", cSettings: cSettings + [.unsafeFlags(["-isystem", headers])]))
  package.products.append(
    .library(name: "RoostPython", type: .dynamic, targets: ["CRoostPython", "RoostABI"]))
}

// The fuzzers, programs of their own: built by Tests/Fuzz/run with the sanitizers that they need.
if isFuzzing {
  package.targets.append(
    .executableTarget(
      name: "ABIFuzz", dependencies: ["CRoostABI", "RoostABI"], path: "Tests/Fuzz", exclude: ["run", "corpus"],
      cSettings: cSettings))
  package.targets.append(
    .target(
      name: "DiskFuzzHarness",
      dependencies: ["RoostPrimitives", "RoostStorage", "RoostConformance", "RoostSimulation", "TierDisk"],
      path: "Tests/DiskFuzz/Harness", swiftSettings: swiftSettings))
  package.targets.append(
    .executableTarget(
      name: "DiskFuzz", dependencies: ["DiskFuzzHarness"], path: "Tests/DiskFuzz/Entry", cSettings: cSettings))
}
