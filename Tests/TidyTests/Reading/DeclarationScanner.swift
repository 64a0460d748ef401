/// Finds the declarations in a file's tokens: those of the file and of types, and functions and types inside functions.
///
/// A keyword counts where a declaration can stand: outside parentheses, directly in a file, type or function body. The
/// next `{` outside parentheses is the body.
struct DeclarationScanner {
  private struct Scope {
    /// The type, extension or protocol whose braces these are; nil in code.
    var type: Int?
    var isFile = false
    /// What ends with the closing brace.
    var owner: Int?
    /// Open parentheses and brackets.
    var depth = 0
    /// A declaration that waits for its brace.
    var pending: Int?

    var holdsMembers: Bool { type != nil }
  }

  private let tokens: [Token]
  private let comments: [Comment]
  private var scopes = [Scope(isFile: true)]
  private(set) var declarations: [Declaration] = []

  init(tokens: [Token], comments: [Comment]) {
    self.tokens = tokens.filter { !$0.isDirective }
    self.comments = comments
    for index in self.tokens.indices { visit(index) }
  }

  private func token(_ index: Int) -> Token? { tokens.indices.contains(index) ? tokens[index] : nil }

  private mutating func visit(_ index: Int) {
    let token = tokens[index]
    if token.kind == .symbol { return punctuate(token) }
    guard token.kind == .identifier, !token.isEscaped, scopes[scopes.count - 1].depth == 0 else { return }
    guard let kind = Declaration.Kind(rawValue: token.text), declares(kind, at: index) else { return }
    append(kind, at: index)
  }

  private mutating func punctuate(_ token: Token) {
    let top = scopes.count - 1
    switch token.text {
    case "(", "[": scopes[top].depth += 1
    case ")", "]": scopes[top].depth = max(0, scopes[top].depth - 1)
    case "{": open(scopes[top].depth == 0 ? scopes[top].pending : nil)
    case "}":
      if let owner = scopes[top].owner { declarations[owner].lastLine = token.line }
      if top > 0 { scopes.removeLast() }
      // A closure among the parameters is not the body.
      if scopes[scopes.count - 1].depth == 0 { scopes[scopes.count - 1].pending = nil }
    default: break
    }
  }

  private mutating func open(_ owner: Int?) {
    guard let owner else { return scopes.append(Scope()) }
    scopes.append(Scope(type: declarations[owner].isFunction ? nil : owner, owner: owner))
  }

  /// Whether the keyword at `index` declares something, rather than being a label, a member or a modifier.
  private func declares(_ kind: Declaration.Kind, at index: Int) -> Bool {
    let scope = scopes[scopes.count - 1]
    guard let next = token(index + 1), !next.isSymbol(":") else { return false }
    if let previous = token(index - 1) {
      if previous.isSymbol(".") || previous.isSymbol(":") || previous.isWord("import") { return false }
    }
    switch kind {
    case .import: return scope.isFile && next.kind == .identifier
    case .struct, .enum, .protocol, .actor, .extension, .typealias, .associatedtype:
      return next.kind == .identifier && next.line == tokens[index].line
    case .class: return next.kind == .identifier && !Self.followsClassModifier(next)
    case .func: return true
    case .`init`, .deinit, .subscript: return scope.holdsMembers
    case .var, .let: return scope.holdsMembers || scope.isFile
    case .case: return scope.type.map { declarations[$0].kind == .enum } ?? false
    }
  }

  private static func followsClassModifier(_ token: Token) -> Bool {
    modifierWords.contains(token.text) || ["func", "var", "let", "subscript", "init"].contains(token.text)
  }

  private mutating func append(_ kind: Declaration.Kind, at index: Int) {
    let (first, modifiers) = head(of: index)
    let isDocumented = tokens[first].comments.contains { comment in
      comments[comment].isDocumentation && comments[comment].firstLine > (token(first - 1)?.line ?? 0)
    }
    declarations.append(
      Declaration(
        kind: kind, name: name(kind, at: index), modifiers: modifiers, line: tokens[index].line,
        lastLine: tokens[index].line, isDocumented: isDocumented, parent: scopes[scopes.count - 1].type))
    scopes[scopes.count - 1].pending = [.import, .case, .typealias].contains(kind) ? nil : declarations.count - 1
  }

  private func name(_ kind: Declaration.Kind, at index: Int) -> String {
    guard let next = token(index + 1) else { return kind.rawValue }
    switch kind {
    case .`init`, .deinit, .subscript: return kind.rawValue
    case .import:
      // `import struct Module.Type` names the module second.
      let isScoped = Declaration.Kind(rawValue: next.text) != nil
      return (isScoped ? token(index + 2) : next)?.text ?? kind.rawValue
    case .extension:
      var name = next.text
      var at = index + 2
      while let dot = token(at), dot.isSymbol("."), let part = token(at + 1) {
        name += "." + part.text
        at += 2
      }
      return name
    case .func where next.kind == .symbol:
      return tokens[(index + 1)...].prefix { $0.kind == .symbol && $0.text != "(" }.map(\.text).joined()
    default: return next.kind == .identifier ? next.text : kind.rawValue
    }
  }
}

// MARK: - Attributes and modifiers

extension DeclarationScanner {
  static let modifierWords: Set<String> = [
    "public", "open", "package", "internal", "fileprivate", "private", "static", "class", "final", "override",
    "required", "convenience", "mutating", "nonmutating", "consuming", "borrowing", "lazy", "weak", "unowned",
    "indirect", "nonisolated", "dynamic", "optional", "prefix", "postfix", "infix", "sending",
  ]

  /// The first token of the declaration whose keyword stands at `keyword`, and its modifiers.
  private func head(of keyword: Int) -> (first: Int, modifiers: [String]) {
    var first = keyword
    var modifiers: [String] = []
    while let previous = token(first - 1) {
      if isModifier(at: first - 1) {
        first -= 1
        modifiers.append(previous.text)
      } else if previous.isSymbol(")"), let open = matchingParenthesis(of: first - 1) {
        if let start = attributeStart(endingAt: open - 1) {
          first = start
        } else if isModifier(at: open - 1), open == first - 3 {
          modifiers.append("\(tokens[open - 1].text)(\(tokens[open + 1].text))")
          first = open - 1
        } else {
          break
        }
      } else if let start = attributeStart(endingAt: first - 1) {
        first = start
      } else {
        break
      }
    }
    return (first, modifiers)
  }

  private func isModifier(at index: Int) -> Bool {
    guard let word = token(index), word.kind == .identifier, !word.isEscaped else { return false }
    guard Self.modifierWords.contains(word.text) else { return false }
    guard let previous = token(index - 1) else { return true }
    // A value of that name: `case open`, `= .open`, `let lazy`.
    return !previous.isWord("case") && !previous.isWord("let") && !previous.isWord("var")
      && !(previous.kind == .symbol && ".,=:".contains(previous.text))
  }

  private func matchingParenthesis(of close: Int) -> Int? {
    var depth = 0
    for index in stride(from: close, through: 0, by: -1) {
      if tokens[index].isSymbol(")") { depth += 1 }
      if tokens[index].isSymbol("(") { depth -= 1 }
      if depth == 0 { return index }
    }
    return nil
  }

  /// Where `@name` or `@Module.name` starts whose last word is at `index`.
  private func attributeStart(endingAt index: Int) -> Int? {
    var index = index
    while let word = token(index), word.kind == .identifier, let sign = token(index - 1) {
      if sign.isSymbol("@") { return index - 1 }
      guard sign.isSymbol(".") else { return nil }
      index -= 2
    }
    return nil
  }
}
