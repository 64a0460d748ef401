import Testing

@Suite struct DocumentationCheckTests {
  private let check = DocumentationCheck()

  @Test(arguments: [
    "public struct A {}", "public func a() {}", "public let a = 1", "public typealias A = Int", "open class A {}",
    "// a remark\npublic enum A {}", "@inlinable public func a() {}", "public private(set) var a = 1",
    "let a = 1  /// trailing\npublic func b() {}",
  ])
  func aPublicSymbolWithoutDocumentationIsReported(text: String) {
    #expect(check.lines(text).count == 1)
  }

  @Test(arguments: [
    "/// A.\npublic struct A {}", "/// A.\n@inlinable\n@available(*, deprecated)\npublic func a() {}",
    "/** A. */ public let a = 1", "struct A {}", "private func a() {}", "package func a() {}", "public import Glibc",
    "/// A.\n// swift-format-ignore\npublic func a() {}", "@usableFromInline func a() {}",
  ])
  func whatIsDocumentedOrNotPublicPasses(text: String) {
    #expect(check.lines(text) == [])
  }

  @Test func requirementsOfAPublicProtocolArePublic() {
    let body = "{\n  associatedtype B\n  var c: Int { get }\n  /// D.\n  func d()\n  init()\n}"
    #expect(check.lines("/// A.\npublic protocol A \(body)") == [3, 4, 7])
    #expect(check.lines("protocol A \(body)") == [])
  }

  @Test func casesOfAPublicEnumArePublic() {
    let body = "{\n  case b\n  /// C.\n  case c(Int), d\n  func e() { switch self { case .b: break } }\n}"
    #expect(check.lines("/// A.\npublic enum A \(body)") == [3])
    #expect(check.lines("enum A \(body)") == [])
  }

  @Test func membersOfAPublicExtensionArePublic() {
    let body = "{\n  func b() { func c() {} }\n  private func d() {}\n  static let e = 1\n}"
    #expect(check.lines("public extension A \(body)") == [2, 4])
    #expect(check.lines("extension A \(body)") == [])
  }

  @Test func testsNeedNone() {
    #expect(check.lines("public struct A {}", in: "Tests/ATests/A.swift") == [])
  }
}
