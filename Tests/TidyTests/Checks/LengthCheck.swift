/// Functions and files stay short enough to be read at once.
struct LengthCheck: Check {
  static let functionLinesMax = 70
  static let fileLinesMax = 500

  let rule = "has no function over \(functionLinesMax) lines and no file over \(fileLinesMax)"

  func findings(in file: SourceFile) -> [Finding] {
    guard let language = file.language else { return [] }
    var findings: [Finding] = []
    if file.lineCount > Self.fileLinesMax {
      let message = "\(file.lineCount) lines, \(Self.fileLinesMax) allowed: this is two ideas"
      findings.append(Finding(path: file.path, line: Self.fileLinesMax + 1, message: message))
    }
    let functions =
      switch language {
      case .swift: file.declarations.filter(\.isFunction).map { Function($0.name, $0.line, $0.lastLine) }
      case .c: Self.functions(inC: file.tokens)
      }
    for function in functions where function.lineCount > Self.functionLinesMax {
      let message = "\(function.name) has \(function.lineCount) lines, \(Self.functionLinesMax) allowed"
      findings.append(Finding(path: file.path, line: function.firstLine, message: message))
    }
    return findings
  }

  private struct Function {
    let name: String
    let firstLine: Int
    let lastLine: Int
    var lineCount: Int { lastLine - firstLine + 1 }

    init(_ name: String, _ firstLine: Int, _ lastLine: Int) {
      self.name = name
      self.firstLine = firstLine
      self.lastLine = lastLine
    }
  }

  /// Outermost braces with parentheses, but no `=`, before them. `extern "C" {` is looked through.
  private static func functions(inC tokens: [Token]) -> [Function] {
    var functions: [Function] = []
    var head: [Token] = []
    var depth = 0
    for token in tokens where !token.isDirective {
      if depth == 0 { head.append(token) }
      if token.isSymbol("{") {
        if depth == 0, head.contains(where: { $0.kind == .string }) {
          head = []
        } else {
          depth += 1
        }
      } else if token.isSymbol("}") {
        depth = max(0, depth - 1)
        guard depth == 0 else { continue }
        if let open = head.firstIndex(where: { $0.isSymbol("(") }), open > 0,
          !head.contains(where: { $0.isSymbol("=") })
        {
          functions.append(Function(head[open - 1].text, head[0].line, token.line))
        }
        head = []
      } else if depth == 0, token.isSymbol(";") {
        head = []
      }
    }
    return functions
  }
}
