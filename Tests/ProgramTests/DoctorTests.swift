import RoostConsole
import Testing

@testable import roost

/// `roost doctor`: each judgement, and the program on this machine.
@Suite struct DoctorTests {
  private static let gibibyte = 1 << 30

  @Test func aHealthyMachineNeedsNothing() {
    let findings = [
      Doctor.memoryFiles(obstacle: nil),
      Doctor.sharedMemory(Doctor.Space(totalBytes: 32 * Self.gibibyte, freeBytes: 31 * Self.gibibyte)),
      Doctor.lockedMemory(limitBytes: nil), Doctor.controlGroup(nil), Doctor.hugePages(chosen: "advise"),
      Doctor.ring(obstacle: nil, disabled: 0), Doctor.memoryNodes(count: 1),
      Doctor.inference(Doctor.Inference(version: "0.32.1", hashAlgorithm: "sha256"), obstacle: ""),
      Doctor.hashes(algorithm: "sha256", seed: nil), Doctor.hashes(algorithm: "xxhash", seed: "0"),
    ]
    for finding in findings { #expect(finding.state == .good && finding.fix.isEmpty, "\(finding)") }
  }

  @Test func whatIsNotRightComesWithOneLineThatFixesIt() {
    let findings: [(DoctorFinding, DoctorFinding.State, String)] = [
      (Doctor.memoryFiles(obstacle: "Operation not permitted"), .bad, "seccomp"),
      (Doctor.sharedMemory(nil), .warning, "mount a tmpfs"),
      (Doctor.sharedMemory(Doctor.Space(totalBytes: 64 << 20, freeBytes: 64 << 20)), .warning, "--shm-size"),
      (Doctor.lockedMemory(limitBytes: 64 << 10), .warning, "ulimit -l"),
      (
        Doctor.controlGroup((roomBytes: 1 << 20, limitBytes: 4 << 30, file: "/x/memory.max")), .warning, "/x/memory.max"
      ),
      (Doctor.hugePages(chosen: "never"), .warning, "shmem_enabled"),
      (Doctor.hugePages(chosen: nil), .warning, "advise"),
      (Doctor.ring(obstacle: "no", disabled: 2), .warning, "sysctl"),
      (Doctor.ring(obstacle: "no", disabled: 0), .warning, "seccomp"),
      (Doctor.memoryNodes(count: 2), .warning, "numactl"),
      (Doctor.inference(nil, obstacle: "not installed"), .warning, "--python"),
      (Doctor.inference(Doctor.Inference(version: "0.3", hashAlgorithm: ""), obstacle: ""), .bad, "0.32"),
      (Doctor.inference(Doctor.Inference(version: "0.321.0", hashAlgorithm: ""), obstacle: ""), .bad, "0.32"),
      (Doctor.hashes(algorithm: "sha256", seed: "random"), .warning, "PYTHONHASHSEED"),
      (Doctor.hashes(algorithm: "xxhash_cbor", seed: nil), .warning, "sha256"),
    ]
    for (finding, state, word) in findings {
      #expect(finding.state == state && finding.fix.contains(word) && !finding.fix.contains("\n"), "\(finding)")
    }
  }

  @Test func theProgramLooksAtEverything() throws {
    let outcome = try RoostProgram.run("doctor", "--json", "--python", "/nowhere/python", "--hash-algorithm", "xxhash")
    let report = try outcome.json()
    let findings = try #require(report["findings"]?.elements)
    let names = findings.compactMap { $0["name"]?.text }
    #expect(
      names == ["memfd", "/dev/shm", "memlock", "cgroup", "huge pages", "io_uring", "NUMA", "vLLM", "hashes"])
    for finding in findings {
      #expect((finding["state"]?.text == "good") == (finding["fix"]?.text == ""), "\(finding)")
    }
    #expect(findings[7]["found"]?.text == "there is no program '/nowhere/python'")
    #expect(findings[8]["found"]?.text?.hasPrefix("xxhash") == true)
    #expect(outcome.status == (report["usable"]?.bool == true ? 0 : 1))
    let text = try RoostProgram.run("doctor").output
    for name in names { #expect(text.contains(name)) }
  }
}
