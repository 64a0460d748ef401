import Testing

@Suite struct NameCheckTests {
  private let check = NameCheck()

  @Test(arguments: [
    "struct PoolManager {}", "enum Util {}", "class StringUtils {}", "protocol CommonPool {}", "actor PoolHelper {}",
    "typealias Misc = Int", "struct BaseDevice {}", "struct S3Backend {}", "func a() { struct URLHelper {} }",
    "struct A { enum backend {} }", "protocol A { associatedtype Base }",
  ])
  func aTypeWithAnEmptyWordIsReported(text: String) {
    #expect(check.lines(text) == [1])
  }

  @Test(arguments: [
    "struct Database {}", "struct Baseline {}", "struct Utility {}", "struct Commons {}", "let base = 1",
    "func helper(manager: Int) {}", "// struct Util {}", "let a = \"struct Util {}\"", "extension Base {}",
    "struct Base64 {}",
  ])
  func otherNamesPass(text: String) {
    #expect(check.lines(text) == [])
  }

  @Test(arguments: [
    "Sources/RoostCommon/A.swift", "Sources/RoostPool/Pool+Helper.swift", "Sources/RoostPool/Utils/A.swift",
    "Tests/UtilTests/A.swift", "Sources/Shims/CRoostPlatform/copy_base.c", "Sources/RoostPool/util.swift",
  ])
  func aModuleFolderOrFileWithAnEmptyWordIsReported(path: String) {
    #expect(check.lines("", in: path) == [1])
  }

  @Test func typesInCAreNamesToo() {
    let path = "Sources/Shims/CRoostPlatform/include/a.h"
    #expect(check.lines("struct roost_backend;\nstruct roost_copy { char *base; };", in: path) == [1])
  }

  @Test func namesAreSplitIntoTheirWords() {
    #expect(CamelCase.words(of: "HTTPServerV2") == ["http", "server", "v2"])
    #expect(CamelCase.words(of: "roost_copyBlock+Fast.swift") == ["roost", "copy", "block", "fast", "swift"])
    #expect(CamelCase.words(of: "Base64") == ["base64"])
  }
}
