import Testing

@Suite struct LexerTests {
  private func words(_ text: String, _ language: Lexer.Language = .swift) -> [String] {
    Lexer(text, language: language).tokens.filter { $0.kind == .identifier }.map(\.text)
  }

  @Test func commentsHideCodeAtAnyDepth() {
    #expect(words("a // b\nc /* d /* e */ f */ g /** h */ i") == ["a", "c", "g", "i"])
    #expect(words("a /* b /* c */ d", .c) == ["a", "d"])
  }

  @Test func literalsHideCode() {
    #expect(words(#"a("b // c", "\"d\\") e"#) == ["a", "e"])
    #expect(words("a = \"\"\"\n  b \"c\" /* d\n  \"\"\" + e") == ["a", "e"])
    #expect(words(##"a(#"b " c \ d"#) e"##) == ["a", "e"])
    #expect(words(##"a = #/b"/*/# ; c"##) == ["a", "c"])
    #expect(words("a = /b\"[/*]/ ; c") == ["a", "c"])
    #expect(words("x = '\"'; y = '\\''; z", .c) == ["x", "y", "z"])
  }

  @Test func interpolationsAreCode() {
    #expect(words(#"a("b \(c("d \(e) f")) g") h"#) == ["a", "c", "e", "h"])
    #expect(words(##"a(#"b \(c) \#(d)"#)"##) == ["a", "d"])
  }

  @Test func divisionIsNotALiteral() {
    #expect(words("a / b + c / d; e.reduce(1, /)") == ["a", "b", "c", "d", "e", "reduce"])
  }

  @Test func anUnterminatedLiteralEndsWithItsLine() {
    #expect(words("a(\"b\nc") == ["a", "c"])
    #expect(words("a /* b") == ["a"])
    #expect(words("a = \"\"\"\nb") == ["a"])
  }

  @Test func linesAreCountedThroughEverything() {
    let text = "/* \n\n */ a \"\"\"\n\\(b)\n\"\"\" c\n#if d\ne"
    let lines = Lexer(text, language: .swift).tokens.filter { $0.kind == .identifier }.map { "\($0.text)\($0.line)" }
    #expect(lines == ["a3", "b4", "c5", "if6", "d6", "e7"])
  }

  @Test func directivesReachToTheEndOfTheirLines() {
    let tokens = Lexer("#define a \\\n b\nc", language: .c).tokens
    #expect(tokens.filter { !$0.isDirective }.map(\.text) == ["c"])
    #expect(Lexer("#expect(a)", language: .swift).tokens.allSatisfy { !$0.isDirective })
  }

  @Test func documentationIsToldFromRemarks() {
    let comments = Lexer("/// a\n// b\n//// c\n/** d */\n/**/\n/* e */", language: .swift).comments
    #expect(comments.map(\.isDocumentation) == [true, false, false, true, false, false])
  }
}
