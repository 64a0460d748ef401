/// Something that Swift source declares, as far as the checks need to know it.
struct Declaration {
  enum Kind: String {
    case `import`, `struct`, `class`, `enum`, `protocol`, `actor`, `extension`
    case `func`, `init`, `deinit`, `subscript`, `var`, `let`, `case`, `typealias`, `associatedtype`
  }

  let kind: Kind
  /// Of an import: the module. Of a tuple pattern and what has no name: the keyword.
  let name: String
  /// Words such as `public`; with their parentheses where they have any, as in `private(set)`.
  let modifiers: [String]
  /// The line of the keyword.
  let line: Int
  /// The line of the closing brace, that of the keyword if there is no body.
  var lastLine: Int
  let isDocumented: Bool
  /// The type, extension or protocol around it, as an index into the file's declarations.
  let parent: Int?

  var isType: Bool {
    switch kind {
    case .struct, .class, .enum, .protocol, .actor, .typealias, .associatedtype: true
    default: false
    }
  }

  /// Whether its body is code.
  var isFunction: Bool {
    switch kind {
    case .func, .`init`, .deinit, .subscript, .var, .let: true
    default: false
    }
  }
}
