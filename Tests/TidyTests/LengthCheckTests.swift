import Testing

@Suite struct LengthCheckTests {
  private let check = LengthCheck()
  private func lines(_ count: Int) -> String { String(repeating: "  x()\n", count: count) }

  @Test(arguments: ["func a()", "init()", "deinit", "subscript(_ a: Int) -> Int", "var a: Int", "static let a = call"])
  func aFunctionOfSeventyLinesPassesAndOneMoreDoesNot(head: String) {
    #expect(check.lines("struct S {\n\(head) {\n\(lines(68))}\n}") == [])
    #expect(check.lines("struct S {\n\(head) {\n\(lines(69))}\n}") == [2])
  }

  @Test func aFunctionInsideAFunctionCountsForBoth() {
    #expect(check.lines("func a() {\nfunc b() {\n\(lines(69))}\n}") == [1, 2])
  }

  @Test func aLongTypeOfShortFunctionsPasses() {
    let text = "struct S {\n" + String(repeating: "  func a() {\n  }\n", count: 100) + "}"
    #expect(check.lines(text) == [])
  }

  @Test func bracesInLiteralsAndCommentsEndNothing() {
    #expect(check.lines("func a() {\n  x(\"}\") // }\n\(lines(69))}") == [1])
    #expect(check.lines("func a() {\n  x(\"{\") // {\n}\n\(lines(90))") == [])
  }

  @Test func functionsInCAreMeasuredToo() {
    let path = "Sources/Shims/CRoostPlatform/a.c"
    let head = "#include <a.h>\nextern \"C\" {\nstruct s { int a; };\nint t[] = { 1 };\nstatic int a(int b) {\n"
    #expect(check.lines("\(head)\(lines(68))}\n}", in: path) == [])
    #expect(check.lines("\(head)if (b) {\n\(lines(68))}\n}\n}", in: path) == [5])
  }

  @Test(arguments: ["swift", "c", "h"])
  func aFileOfFiveHundredLinesPassesAndOneMoreDoesNot(suffix: String) {
    let comment = String(repeating: "// a\n", count: 500)
    #expect(check.lines(comment, in: "Sources/A/a.\(suffix)") == [])
    #expect(check.lines(comment + "// a", in: "Sources/A/a.\(suffix)") == [501])
  }
}
