import Testing

/// The checks that look at one place at a time.
@Suite struct LineCheckTests {
  @Test(arguments: [
    "let src = 1", "func a(dst: Int) {}", "func a<B>(dst: Int) {}", "init(_ b: Int, src: Int)", "case a(src: Int)",
    "let a: (src: Int, b: Int)", "let a = srcStride", "let dst_base = 1", "x(\"\\(src)\")", "enum A { case src }",
    "a.map { src in b }", "let a = [src: 1]", "x(a, src)",
  ])
  func shortenedEndsOfACopyAreReported(text: String) {
    #expect(DirectionCheck().lines(text) == [1])
  }

  @Test(arguments: [
    "let source = 1, target = 2", "// src", "let a = \"src\"", "let srcery = 1",
    "let a = ZSTD_inBuffer(src: b, size: 1)",
    "buffer.dst = a", "x.init(a: b[0], dst: c)", "f(src: g(1))",
  ])
  func wholeWordsAndForeignNamesPass(text: String) {
    #expect(DirectionCheck().lines(text) == [])
  }

  @Test func shortenedEndsOfACopyAreReportedInCToo() {
    let path = "Sources/Shims/CRoostPlatform/a.c"
    #expect(DirectionCheck().lines("void a(char *dst);\nint b = c.src + d->dst;\n#define E src", in: path) == [1, 3])
  }

  @Test(arguments: ["// TODO: a", "/// FIXME", "/*\n XXX */ a", "a() // HACK(b)"])
  func marksOfWorkLeftAreReported(text: String) {
    #expect(MarkerCheck().lines(text).count == 1)
    #expect(MarkerCheck().lines(text, in: "Sources/A/a.h").count == 1)
    #expect(MarkerCheck().lines("# " + text, in: "Makefile").count == 1)
  }

  @Test func marksAsTextOrPartsOfWordsPass() {
    #expect(MarkerCheck().lines("let a = \"TODO\" // method, todos, TODOS") == [])
    #expect(MarkerCheck().lines("No TODO is left.", in: "CONTRIBUTING.md") == [])
  }

  @Test(arguments: [
    "let a = try! b()", "fatalError(\"a\")", "let a = b as! C", "/// Why.\nfatalError()", "// why\n\nfatalError()",
  ])
  func aTrapWithoutAReasonIsReported(text: String) {
    #expect(TrapCheck().lines(text).count == 1)
    #expect(TrapCheck().lines(text, in: "Tests/ATests/A.swift").count == 1)
  }

  @Test(arguments: [
    "let a = try! b()  // The literal is valid.", "// Every row was checked above.\nlet a = b as! C",
    "try !a()", "let a = \"try! b\"", "// fatalError", "let a = try? b() as? C",
  ])
  func aTrapWithAReasonPasses(text: String) {
    #expect(TrapCheck().lines(text) == [])
  }

  @Test(arguments: ["work", "root", "home"])
  func foldersOfOneMachineAreReported(folder: String) {
    let check = PortabilityCheck()
    #expect(check.lines("a\ncd /\(folder)/b", in: "Makefile") == [2])
    #expect(check.lines("let a = \"/\(folder)/b\"") == [1])
    #expect(check.lines("let a = \"file:///\(folder)/b\"") == [1])
    #expect(check.lines("cd a/\(folder)/b; cd $(A)/\(folder)/b; cd ../\(folder)/b", in: "Makefile") == [])
  }

  @Test(arguments: PortabilityCheck.hosts)
  func packageServersAreReported(host: String) {
    #expect(PortabilityCheck().lines("see https://\(host)/a", in: "README.md") == [1])
  }

  @Test func otherPlacesPass() {
    #expect(PortabilityCheck().lines("https://www.swift.org/install /dev/shm /proc/self/fd /etc/os-release") == [])
  }
}
