import DeviceCUDA
import RoostDevice
import RoostPrimitives
import Testing

/// Which path a batch takes: the rule, what was measured, and that measuring leaves nothing behind.
@Suite struct CalibrationTests {
  @Test func whatWasMeasuredReplacesTheRule() throws {
    // Copies are slow on this driver and kernels are not, so kernels win where the rule prefers the batch call: by 200 ms
    // for the 256 x 128 KiB that are looked at, more than a busy machine takes from a kernel.
    let library = try SimulatedLibrary("memory=\(128 << 20);late=0;delay=6000")
    do {
      let device = DrivenDevice(try CUDADriver(CUDADeviceConfiguration(library: library.path)))
      #expect(!device.driver.copyPaths.isMeasured)
      #expect(device.driver.copyPaths.path(.hostToDevice, pieceBytes: 128 << 10, count: 256) == .batch)
      let stream = try device.makeStream(priority: .high)
      try stream.wait(until: .after(seconds: 30))
      #expect(device.driver.copyPaths.isMeasured)
      #expect(device.driver.copyPaths.path(.hostToDevice, pieceBytes: 128 << 10, count: 256) == .kernel)
      #expect(device.driver.copyPaths.path(.deviceToHost, pieceBytes: 100 << 10, count: 5000) == .kernel)
    }
    #expect(try library.leaks() == [:])
  }

  @Test(arguments: ["memory=\(16 << 20)", "memory=\(128 << 20);fail=cuLaunchKernel:0:304"])
  func aDeviceThatCannotBeMeasuredKeepsTheRule(settings: String) throws {
    let library = try SimulatedLibrary(settings)
    do {
      let device = DrivenDevice(try CUDADriver(CUDADeviceConfiguration(library: library.path)))
      _ = try device.makeStream(priority: .high)
      #expect(!device.driver.copyPaths.isMeasured)
      #expect(device.driver.copyPaths.path(.deviceToHost, pieceBytes: 4096, count: 64) == .kernel)
    }
    #expect(try library.leaks() == [:])
  }

  @Test func memoryIsNotFreedUnderCopiesThatGoOnAfterMeasuringWasGivenUp() throws {
    // 16 pieces of 4 KiB by single calls take 1.3 s each time, and measuring gives up after one second. The simulated
    // driver refuses to free page-locked memory that a copy has not done with: it would be left over.
    let library = try SimulatedLibrary("memory=\(128 << 20);late=0;delay=20000000")
    do {
      let device = DrivenDevice(try CUDADriver(CUDADeviceConfiguration(library: library.path)))
      let stream = try device.makeStream(priority: .high)
      #expect(!device.driver.copyPaths.isMeasured)
      #expect(try library.leaks()["pinned memory"] == 1, "the kernels' own, and nothing else")
      try stream.record(try device.makeEvent())
      try stream.wait(until: .after(seconds: 30))
    }
    #expect(try library.leaks() == [:])
  }

  @Test func theRuleGoesBySizeCountAndWhatTheDriverHas() {
    let (new, old) = (CopyPathTable(hasBatch: true), CopyPathTable(hasBatch: false))
    #expect(new.path(.hostToDevice, pieceBytes: 4096, count: 64) == .kernel)
    #expect(new.path(.hostToDevice, pieceBytes: 4096, count: 8) == .batch)
    #expect(new.path(.hostToDevice, pieceBytes: 32 << 10, count: 64) == .batch)
    #expect(old.path(.hostToDevice, pieceBytes: 32 << 10, count: 64) == .kernel)
    #expect(old.path(.hostToDevice, pieceBytes: 64 << 10, count: 64) == .batch)
    #expect(new.path(.deviceToDevice, pieceBytes: 1 << 20, count: 64) == .kernel)
  }

  @Test func aMeasuredPointHoldsForTheSizesBelowItAndTheCountsAboveIt() {
    var table = CopyPathTable(hasBatch: true)
    table.set(.kernel, .hostToDevice, sizeIndex: 2, countIndex: 1)
    #expect(table.path(.hostToDevice, pieceBytes: 16 << 10, count: 64) == .kernel)
    #expect(table.path(.hostToDevice, pieceBytes: 9 << 10, count: 255) == .kernel)
    #expect(table.path(.hostToDevice, pieceBytes: 8 << 10, count: 64) == .batch)
    #expect(table.path(.hostToDevice, pieceBytes: 16 << 10, count: 256) == .batch)
    #expect(table.path(.hostToDevice, pieceBytes: 1 << 20, count: 64) == .batch)
    #expect(table.path(.deviceToHost, pieceBytes: 16 << 10, count: 64) == .kernel, "the other direction keeps the rule")
  }
}
