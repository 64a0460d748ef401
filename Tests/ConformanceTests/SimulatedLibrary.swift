import Foundation
import RoostDevice
import RoostPrimitives

/// A copy of the simulated drivers' library under a name of its own, so that it has a state of its own: its devices, its
/// faults, and the functions that it lacks.
final class SimulatedLibrary: @unchecked Sendable {
  // The handle and the functions are constant, and the library locks for itself.
  let path: String
  private let handle: UnsafeMutableRawPointer

  /// Copies the library, takes functions out of it, and sets the machine (Tests/SimulatedDrivers/include/simulation.h).
  init(_ settings: String = "", lacking functions: [String] = [], name: String = "libsimulated") throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "roost-drivers-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "libSimulatedDrivers.so")
    var bytes = [UInt8](try Data(contentsOf: built))
    for function in functions { try Self.hide(function, in: &bytes) }
    let file = folder.appending(path: name + ".so")
    try Data(bytes).write(to: file)
    path = file.path
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      throw RoostError(.notFound, dlerror().map { String(cString: $0) } ?? path)
    }
    self.handle = handle
    try control("devices=2;memory=\(16 << 20)")
    if !settings.isEmpty { try control(settings) }
  }

  deinit { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }

  /// Changes the machine.
  func control(_ settings: String) throws {
    let call: @convention(c) (UnsafePointer<CChar>) -> CInt = try function("sim_control")
    let position = call(settings)
    if position != 0 { throw RoostError(.invalidInput, "position \(position) of '\(settings)' is not understood") }
  }

  /// How often a function was called since a fault was set for it.
  func callCount(of symbol: String) throws -> Int {
    let call: @convention(c) (UnsafePointer<CChar>) -> Int = try function("sim_seen")
    return call(symbol)
  }

  /// What was made and not given back, by name; empty if nothing was.
  func leaks() throws -> [String: Int] {
    let call: @convention(c) (UnsafeMutablePointer<Int>) -> Void = try function("sim_count_live")
    var counts = [Int](repeating: 0, count: 7)
    call(&counts)
    let names = ["device memory", "pinned memory", "registrations", "streams", "events", "modules", "contexts"]
    return Dictionary(uniqueKeysWithValues: zip(names, counts)).filter { $0.value != 0 }
  }

  /// What a function of the driver that gives one number gives.
  func number(from symbol: String) throws -> Int {
    let call: @convention(c) (UnsafeMutablePointer<CInt>) -> CInt = try function(symbol)
    var number: CInt = -1
    let result = call(&number)
    if result != 0 { throw RoostError(.system, "\(symbol) failed with \(result)") }
    return Int(number)
  }

  /// The number of the device that the calling thread has chosen; -1: none.
  func currentDevice() throws -> Int {
    let call: @convention(c) () -> CInt = try function("sim_current_number")
    return Int(call())
  }

  /// Chooses the context of a CUDA device for the calling thread; -1: none.
  func choose(_ device: Int) throws {
    let retain: @convention(c) (UnsafeMutablePointer<UInt>, CInt) -> CInt = try function("cuDevicePrimaryCtxRetain")
    let release: @convention(c) (CInt) -> CInt = try function("cuDevicePrimaryCtxRelease_v2")
    let choose: @convention(c) (UInt) -> CInt = try function("cuCtxSetCurrent")
    var context: UInt = 0
    var result: CInt = 0
    if device >= 0 {
      result = retain(&context, CInt(device))
      if result == 0 { result = release(CInt(device)) }
    }
    if result == 0 { result = choose(context) }
    if result != 0 { throw RoostError(.system, "choosing device \(device) failed with \(result)") }
  }

  /// Holds a stream up until the returned function is called.
  func hold(_ stream: DriverHandle) throws -> @Sendable () -> Void {
    let hold: @convention(c) (UInt) -> Void = try function("sim_hold")
    let release: @convention(c) (UInt) -> Void = try function("sim_release")
    hold(stream)
    return { release(stream) }
  }

  private func function<Function>(_ name: String) throws -> Function {
    guard let address = dlsym(handle, name) else { throw RoostError(.notFound, "no function \(name) in \(path)") }
    // A C function's address is its pointer; the type is the caller's promise.
    return unsafeBitCast(address, to: Function.self)
  }

  /// Spoils a function's name in the table of exported names: looking it up finds nothing then.
  private static func hide(_ function: String, in bytes: inout [UInt8]) throws {
    func word(_ offset: Int, _ count: Int) -> Int {
      bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    let (sections, sectionBytes, sectionCount) = (word(0x28, 8), word(0x3A, 2), word(0x3C, 2))
    let (stringTable, isLoaded) = (3, 2)
    for section in stride(from: sections, to: sections + sectionBytes * sectionCount, by: sectionBytes)
    where word(section + 4, 4) == stringTable && word(section + 8, 8) & isLoaded != 0 {
      let start = word(section + 0x18, 8)
      let name = [0] + [UInt8](function.utf8) + [0]
      let table = bytes[start..<start + word(section + 0x20, 8)]
      guard let range = table.firstRange(of: name) else { continue }
      bytes[range.lowerBound + 1] = UInt8(ascii: "-")
      return
    }
    throw RoostError(.notFound, "the simulated drivers export no \(function)")
  }
}
