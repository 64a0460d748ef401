import RoostBuiltins
import RoostConsole
import RoostDevice
import RoostPrimitives

/// `roost devices`: what can keep a cache here, and why the rest cannot.
enum DevicesCommand {
  static var command: Command {
    var command = Command(
      "devices", summary: "list the accelerators that this machine has, and why others cannot be used"
    ) { (arguments) throws(RoostError) in try run(arguments) }
    command.discussion = [
      """
      Drivers are looked for when Roost runs, not when it is built: one program serves every vendor. A device is named by \
      its URI, such as cpu:0; where none is named, ROOST_DEVICE names it, else the first accelerator found is taken, else \
      the processor. ROOST_DEVICE_PLUGINS lists shared libraries with further kinds, separated by colons \
      (docs/guides/add-a-device.md).
      """,
      """
      "not run" in the column "hardware" means: this vendor's code was tested on a simulated driver alone.
      """,
    ]
    command.options = [
      .flag("measure", "Copy 64 MiB each way on every device and show the best of five."),
      .flag("json", "Print one JSON object on standard output and nothing else there."),
    ]
    command.examples = [
      CommandExample("roost devices", "What is there."),
      CommandExample("roost devices --measure --json", "The same for a script, with speeds."),
    ]
    return command
  }

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    var rows: [(finding: DeviceFinding, speed: Result<CopySpeed, RoostError>?)] = []
    for finding in Builtins.devices().survey() {
      var speed: Result<CopySpeed, RoostError>?
      if arguments.isOn("measure") == true, case .success(let device) = finding.result {
        do throws(RoostError) { speed = .success(try CopySpeed(of: device)) } catch { speed = .failure(error) }
      }
      rows.append((finding, speed))
    }
    if arguments.isOn("json") == true {
      let devices = rows.map { json(of: $0.finding, $0.speed) }
      try Terminal.write(JSONValue.object(["devices": .array(devices)]).serialized + "\n")
    } else {
      try Terminal.write(text(of: rows))
    }
    return .success
  }

  // MARK: - Text

  private static func text(of rows: [(finding: DeviceFinding, speed: Result<CopySpeed, RoostError>?)]) -> String {
    var table = Table([
      ("device", .left), ("name", .left), ("vendor", .left), ("driver", .left), ("memory", .right), ("bus", .left),
      ("node", .right), ("hardware", .left), ("store GB/s", .right), ("load GB/s", .right),
    ])
    var abilities = ""
    var missing = ""
    for (finding, speed) in rows {
      guard case .success(let device) = finding.result else {
        missing += "  \(finding.uri) (\(finding.vendor)): \(finding.reason)\n"
        continue
      }
      let about = device.description
      var cells = [
        finding.uri, about.name, about.vendor, about.driverVersion ?? "", "\(ByteCount(about.memoryBytes))",
        about.busAddress ?? "", about.numaNode.map { "\($0)" } ?? "", about.isTestedOnHardware ? "tested" : "not run",
      ]
      switch speed {
      case .success(let speed): cells += [speed.store, speed.load].map { NumberText.fixed($0 / 1e9, 1) }
      case .failure(let error): missing += "  \(finding.uri): cannot be measured: \(error)\n"
      case nil: break
      }
      table.add(cells)
      abilities += "  \(finding.uri): \(names(about.capabilities).joined(separator: ", "))\n"
    }
    return table.text + "\nWhat they can do:\n" + abilities + (missing.isEmpty ? "" : "\nNot available:\n" + missing)
  }

  private static func names(_ capabilities: Capabilities) -> [String] {
    Capabilities.names.filter { capabilities.contains($0.capability) }.map(\.name)
  }

  // MARK: - JSON

  private static func json(of finding: DeviceFinding, _ speed: Result<CopySpeed, RoostError>?) -> JSONValue {
    var members = [
      JSONMember("uri", .string(finding.uri)), JSONMember("vendor", .string(finding.vendor)),
      JSONMember("available", .bool(finding.reason.isEmpty)), JSONMember("reason", .string(finding.reason)),
    ]
    guard case .success(let device) = finding.result else { return .object(members) }
    let about = device.description
    members += [
      JSONMember("name", .string(about.name)),
      JSONMember("driver_version", about.driverVersion.map { .string($0) } ?? .null),
      JSONMember("memory_bytes", .count(about.memoryBytes)), JSONMember("free_bytes", .count(device.freeMemoryBytes)),
      JSONMember("pci_address", about.busAddress.map { .string($0) } ?? .null),
      JSONMember("numa_node", about.numaNode.map { .count($0) } ?? .null),
      JSONMember("capabilities", .array(names(about.capabilities).map { .string($0) })),
      JSONMember("tested_on_hardware", .bool(about.isTestedOnHardware)),
    ]
    if case .success(let speed) = speed {
      members.append(JSONMember("store_bytes_per_second", .number(speed.store)))
      members.append(JSONMember("load_bytes_per_second", .number(speed.load)))
    }
    if case .failure(let error) = speed { members.append(JSONMember("measure_error", .string(error.description))) }
    return .object(members)
  }
}

/// What one large copy each way achieves, in bytes a second.
struct CopySpeed {
  /// From the device to the host.
  let store: Double
  /// From the host to the device.
  let load: Double

  private static let byteCount = 64 << 20
  private static let rounds = 5
  private static let patienceSeconds = 30.0

  /// Measures with page-locked memory; less than 64 MiB where the device has less.
  init(of device: any Device) throws(RoostError) {
    let byteCount = max(4096, min(Self.byteCount, device.freeMemoryBytes / 2))
    let memory = try device.allocate(byteCount: byteCount)
    defer { try? device.free(memory) }
    let host = try device.allocateHost(byteCount: byteCount)
    defer { try? device.freeHost(host) }
    host.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    let stream = try device.makeStream(priority: .normal)
    let up = CopyPiece(source: host.address, target: memory.address, byteCount: UInt(byteCount))
    let down = CopyPiece(source: memory.address, target: host.address, byteCount: UInt(byteCount))
    load = try Self.best(up, .hostToDevice, on: stream)
    store = try Self.best(down, .deviceToHost, on: stream)
  }

  private static func best(
    _ piece: CopyPiece, _ direction: CopyDirection, on stream: any DeviceStream
  ) throws(RoostError) -> Double {
    let clock = MonotonicClock()
    var best = UInt64.max
    for _ in 0..<rounds {
      let start = clock.nanoseconds
      try stream.copy(piece, direction)
      try stream.wait(until: .after(seconds: patienceSeconds))
      best = min(best, clock.nanoseconds - start)
    }
    return Double(piece.byteCount) / Double(max(1, best)) * 1e9
  }
}
