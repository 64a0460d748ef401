import RoostConsole
import RoostLayout
import RoostPrimitives

/// One operation on a layout, as a list: its name, then what it takes.
public struct LayoutStep {
  private let name: String
  private let values: [JSONValue]

  /// Reads a step such as `["narrow", "head", 2, 2]`.
  ///
  /// - Throws: `invalidInput` for what is no list with a name.
  public init(json: JSONValue) throws(RoostError) {
    guard let elements = json.elements, let name = elements.first?.text else {
      throw RoostError(.invalidInput, "a step is a list that starts with the operation's name, not \(json.excerpt)")
    }
    self.name = name
    values = Array(elements.dropFirst())
  }

  /// The layout after the step.
  ///
  /// - Throws: `invalidInput` for an unknown operation, values that it does not take, or what the layout cannot.
  public func apply(to layout: Layout) throws(RoostError) -> Layout {
    switch name {
    case "narrow":
      let (axis, start, count) = try (axis(0), number(1), number(2))
      return try perform(3) { () throws(LayoutError) in try layout.narrow(axis, from: start, count: count) }
    case "select":
      let (axis, index) = try (axis(0), number(1))
      return try perform(2) { () throws(LayoutError) in try layout.select(axis, index) }
    case "split":
      let (axis, inner, outer) = try (axis(0), number(1), axis(2))
      return try perform(3) { () throws(LayoutError) in try layout.split(axis, by: inner, outer: outer) }
    case "fuse":
      let (outer, inner) = try (axis(0), axis(1))
      let name = values.count < 3 ? outer : try axis(2)
      return try perform(max(2, min(3, values.count))) { () throws(LayoutError) in
        try layout.fuse(outer, inner, as: name)
      }
    case "rename":
      let (old, new) = try (axis(0), axis(1))
      return try perform(2) { () throws(LayoutError) in try layout.rename(old, to: new) }
    case "permute":
      let order = try axes()
      return try perform(values.count) { () throws(LayoutError) in try layout.permute(order) }
    case "shard":
      let (axis, total, rank, size) = try (axis(0), number(1), number(2), number(3))
      return try perform(4) { () throws(LayoutError) in
        try layout.shard(axis, total: total, rank: rank, size: size)
      }
    case "offset":
      let bytes = try number(0)
      return try perform(1) { () throws(LayoutError) in try layout.offset(byBytes: bytes) }
    default:
      let known = ["narrow", "select", "split", "fuse", "permute", "rename", "shard", "offset"]
      throw RoostError(.invalidInput, "no operation '\(name)'; there are \(known.joined(separator: ", "))")
    }
  }

  private func perform(
    _ count: Int, _ body: () throws(LayoutError) -> Layout
  ) throws(RoostError) -> Layout {
    guard values.count == count else {
      throw RoostError(.invalidInput, "\(name) takes \(count) values after its name, not \(values.count)")
    }
    return try LayoutError.translated(body)
  }

  /// The names of a permutation, in a list of their own or not.
  private func axes() throws(RoostError) -> [AxisName] {
    let list = values.count == 1 ? values[0].elements ?? values : values
    var names: [AxisName] = []
    for value in list {
      guard let text = value.text else {
        throw RoostError(.invalidInput, "\(name) takes axis names, not \(value.excerpt)")
      }
      names.append(AxisName(text))
    }
    return names
  }

  private func axis(_ index: Int) throws(RoostError) -> AxisName {
    guard values.indices.contains(index), let text = values[index].text else {
      throw RoostError(.invalidInput, "value \(index + 1) of \(name) must be an axis name")
    }
    return AxisName(text)
  }

  private func number(_ index: Int) throws(RoostError) -> Int {
    guard values.indices.contains(index), let number = values[index].int else {
      throw RoostError(.invalidInput, "value \(index + 1) of \(name) must be a whole number")
    }
    return number
  }
}
