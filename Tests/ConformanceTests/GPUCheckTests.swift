import Foundation
import Testing

/// Tools/gpu-check on a simulated driver: that it runs to its end, finds nothing wrong, and fails when something is.
@Suite struct GPUCheckTests {
  @Test func everythingIsRightOnAHealthyDriver() throws {
    let (status, output) = try run(on: try SimulatedLibrary())
    #expect(status == 0, "\(output)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    let suites = try #require(report["suites"] as? [[String: Any]])
    #expect(suites.count == 4)
    #expect(suites.allSatisfy { ($0["failures"] as? [String])?.isEmpty == true && $0["passed"] as? Int ?? 0 > 30 })
    let copies = try #require(report["copies"] as? [[String: Any]])
    #expect(copies.count > 30 && copies.allSatisfy { $0["wrong_bytes"] as? Int == 0 })
    #expect(Set(copies.compactMap { $0["verb"] as? String }) == ["store", "load"])
    #expect(Set(copies.compactMap { $0["path"] as? String }) == ["loop", "batch", "kernel", "staging"])
    #expect(Set(copies.compactMap { $0["beside_compute"] as? Bool }) == [true, false])
    // The small machine has room for pages of one model and of one rank of another.
    #expect(Set(copies.compactMap { $0["model"] as? String }) == ["", "Llama-8B", "Llama-70B, one of 8 ranks"])
    let sharing = try #require(report["sharing"] as? [String: Any])
    #expect(sharing["offered"] as? Bool == true && (sharing["failures"] as? [String])?.isEmpty == true)
  }

  @Test func aDriverThatFailsIsReported() throws {
    let (status, output) = try run(on: try SimulatedLibrary(), with: "fail=cuMemcpyBatchAsync_v2:0:304;")
    #expect(status != 0, "\(output)")
  }

  @Test func memoryThatIsNotSharedIsReported() throws {
    let (status, output) = try run(on: try SimulatedLibrary(), with: "fail=cuIpcOpenMemHandle_v2:0:1;")
    #expect(status == 1)
    let report = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    let sharing = try #require(report["sharing"] as? [String: Any])
    #expect((sharing["failures"] as? [String])?.isEmpty == false)
  }

  private func run(on library: SimulatedLibrary, with faults: String = "") throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "gpu-check")
    process.arguments = ["--quick", "--json", "--library", library.path]
    process.environment = ProcessInfo.processInfo.environment.merging([
      "ROOST_SIMULATION": faults + "memory=\(16 << 20)"
    ]) { $1 }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}
