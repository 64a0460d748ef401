import Testing

/// Whose name may stand where.
@Suite struct VendorCheckTests {
  @Test(arguments: [
    "// as CUDA does", "let cuda = 1", "let isCuda = true", "\"cuda:0\"", "#if ROCm", "let a = nvidiaDriver()",
    "case kunlun_xpu",
  ])
  func aMakersNameIsReportedWhereItDoesNotBelong(text: String) {
    #expect(VendorCheck().lines(text, in: "Sources/RoostDevice/A.swift").first == 1)
    #expect(VendorCheck().lines("\n" + text, in: "Sources/roost/A.swift").first == 2)
  }

  @Test func aMakersNamePassesInItsOwnPlaces() {
    let places = [
      "Sources/Devices/DeviceA/A.swift", "Sources/Shims/CA/a.c", "Sources/RoostBuiltins/B.swift", "Tests/A/B.swift",
      "docs/a.md",
    ]
    for place in places { #expect(VendorCheck().lines("cuda, NVIDIA", in: place) == []) }
  }

  @Test(arguments: ["a ship's vendor", "descend, ascending", "barracuda", "chip", "let cudaesque = 1"])
  func partsOfWordsPass(text: String) {
    #expect(VendorCheck().lines(text, in: "Sources/RoostDevice/A.swift") == [])
  }
}
