/// Which module may import which: the map of docs/architecture.md as a table.
///
/// The C shims stand below everything: a module that touches memory or the system has those it needs in its row; the pure
/// ones, RoostLayout and RoostBlocks, have none.
///
/// A new module needs a row here and one in Package.swift. An arrow that points up does not: change the code, or write a
/// decision record first.
enum ModuleMap {
  /// What every module may import besides its row.
  static let system: Set<String> = ["Glibc", "Synchronization"]

  /// What tests may import besides our modules.
  static let testing: Set<String> = system.union(["Foundation", "Testing", "PolicyReference"])

  static let rows: [String: Set<String>] = [
    "CCrypto": [], "CRoostPlatform": [], "CRoostRing": [], "CXXHash": [], "CZstd": [], "CRoostABI": [],
    "CRoostVendors": [],
    "RoostPrimitives": ["CCrypto", "CRoostPlatform", "CXXHash"],
    "RoostLayout": ["RoostPrimitives"],
    "RoostDevice": ["RoostPrimitives", "CRoostPlatform"],
    "RoostBlocks": ["RoostPrimitives"],
    "RoostConsole": ["RoostPrimitives", "CRoostPlatform"],
    "RoostPool": ["RoostPrimitives", "RoostDevice", "CRoostPlatform", "CXXHash"],
    "RoostTransfer": ["RoostPrimitives", "RoostLayout", "RoostDevice", "CRoostPlatform"],
    "RoostStorage": ["RoostPrimitives", "CZstd"],
    "RoostEngine": [
      "RoostPrimitives", "RoostLayout", "RoostDevice", "RoostBlocks", "RoostPool", "RoostTransfer", "RoostStorage",
      "CRoostPlatform",
    ],
    "TierDisk": ["RoostPrimitives", "RoostStorage", "CRoostPlatform", "CRoostRing"],
    "DeviceCPU": ["RoostPrimitives", "RoostDevice", "CRoostPlatform"],
    "DeviceCUDA": ["RoostPrimitives", "RoostDevice", "CRoostVendors"],
    "DeviceHIP": ["RoostPrimitives", "RoostDevice", "CRoostVendors"],
    "DeviceAscend": ["RoostPrimitives", "RoostDevice", "CRoostVendors"],
    "DeviceKunlun": ["RoostPrimitives", "RoostDevice", "CRoostVendors"],
    "DevicePlugin": ["RoostPrimitives", "RoostDevice", "CRoostVendors"],
    "DeviceMock": ["RoostPrimitives", "RoostDevice", "CRoostPlatform"],
    "RoostBuiltins": [
      "RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostStorage", "DeviceCPU", "DeviceMock", "DeviceCUDA",
      "DeviceHIP", "DeviceAscend", "DeviceKunlun", "DevicePlugin", "TierDisk",
    ],
    "RoostConformance": ["RoostPrimitives", "RoostDevice", "RoostBlocks", "RoostStorage", "CRoostPlatform"],
    "RoostSimulation": ["RoostPrimitives", "RoostStorage"],
    "RoostReplay": engineAndBelow.union(["RoostBuiltins", "RoostConsole", "CRoostPlatform", "CZstd"]),
    "RoostBench": engineAndBelow.union(["RoostStorage", "RoostBuiltins", "RoostConsole", "CRoostPlatform"]),
    "RoostLayoutText": ["RoostPrimitives", "RoostLayout", "RoostConsole"],
    "RoostABI": engineAndBelow.union(["RoostBuiltins", "RoostConsole", "RoostLayoutText", "CRoostABI"]),
    "roost": engineAndBelow.union([
      "RoostBuiltins", "RoostConsole", "RoostLayoutText", "RoostReplay", "RoostBench", "TierDisk",
    ]),
  ]

  private static let engineAndBelow: Set<String> = [
    "RoostEngine", "RoostTransfer", "RoostPool", "RoostBlocks", "RoostStorage", "RoostDevice", "RoostLayout",
    "RoostPrimitives",
  ]

  /// Everything that `module` reaches over any number of arrows.
  static func reach(of module: String) -> Set<String> {
    var reached: Set<String> = []
    var waiting = [module]
    while let next = waiting.popLast() {
      for name in rows[next] ?? [] where reached.insert(name).inserted { waiting.append(name) }
    }
    return reached
  }
}
