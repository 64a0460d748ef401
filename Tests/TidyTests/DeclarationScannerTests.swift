import Testing

@Suite struct DeclarationScannerTests {
  private func summary(_ text: String) -> [String] {
    SourceFile(path: "Sources/A/A.swift", text: text).declarations.map {
      "\($0.kind.rawValue) \($0.name) \($0.line)-\($0.lastLine)"
    }
  }

  @Test func bodiesEndAtTheirBraces() {
    let text = """
      struct A {
        let b = [1].map { $0 }
        var c: Int { 1 }
        init(d: () -> Void = {}) {
          func e() {
            if true { }
          }
        }
        subscript(_: Int) -> Int {
          0
        }
      }
      extension A.B where C == D { static func == (l: A, r: A) -> Bool { true } }
      """
    #expect(
      summary(text) == [
        "struct A 1-12", "let b 2-2", "var c 3-3", "init init 4-8", "func e 5-7", "subscript subscript 9-11",
        "extension A.B 13-13", "func == 13-13",
      ])
  }

  @Test func aKeywordThatIsANameDeclaresNothing() {
    let text = """
      func a(class: Int, `func`: Int) {
        b.init(); c.case; d(extension: 1, struct: 2)
        switch e { case .f: break }
        let g = 1
      }
      class H<I: AnyObject> { class func j() {} }
      """
    #expect(summary(text) == ["func a 1-5", "class H 6-6", "func j 6-6"])
  }

  @Test func requirementsHaveNoBody() {
    #expect(
      summary("protocol A {\n  func b() -> Int\n  var c: Int { get }\n  init()\n}\nfunc d() {\n}") == [
        "protocol A 1-5", "func b 2-2", "var c 3-3", "init init 4-4", "func d 6-7",
      ])
  }

  @Test func importsNameTheirModule() {
    #expect(
      summary("import A\n@testable import B.C\nimport struct D.E") == ["import A 1-1", "import B 2-2", "import D 3-3"])
  }

  @Test func modifiersAreReadThroughAttributes() throws {
    let text = "struct A {\n  @available(*, deprecated) @inlinable public private(set) static var b = 1\n}"
    let file = SourceFile(path: "A.swift", text: text)
    #expect(Set(try #require(file.declarations.last).modifiers) == ["public", "private(set)", "static"])
    let cases = SourceFile(path: "A.swift", text: "enum A {\n  case open\n  func b() {}\n}")
    #expect(try #require(cases.declarations.last).modifiers.isEmpty)
  }
}
