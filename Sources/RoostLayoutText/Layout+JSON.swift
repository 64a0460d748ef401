import RoostConsole
import RoostLayout
import RoostPrimitives

extension Layout {
  /// A layout as it stands in files: axes, itemsize and offset, or a list of planes.
  ///
  /// - Throws: `invalidInput` for anything else, or a layout that makes no sense.
  public init(json: JSONValue) throws(RoostError) {
    guard json.members != nil else { throw RoostError(.invalidInput, "a layout is an object with axes and itemsize") }
    var planes: [Plane] = []
    if let list = json["planes"] {
      guard let elements = list.elements else { throw RoostError(.invalidInput, "planes must be a list of layouts") }
      for element in elements { planes.append(try Plane(json: element)) }
    } else {
      planes = [try Plane(json: json)]
    }
    let isOpaque = json["opaque"] ?? .bool(false)
    guard let isOpaque = isOpaque.bool else { throw RoostError(.invalidInput, "opaque must be true or false") }
    self = try LayoutError.translated { () throws(LayoutError) in try Layout(planes: planes, isOpaque: isOpaque) }
  }

  /// The same form.
  public var json: JSONValue {
    var members =
      planes.count == 1 ? planes[0].members : [JSONMember("planes", .array(planes.map { .object($0.members) }))]
    if isOpaque { members.append(JSONMember("opaque", .bool(true))) }
    return .object(members)
  }
}

extension Plane {
  fileprivate init(json: JSONValue) throws(RoostError) {
    guard let list = json["axes"]?.elements else {
      throw RoostError(.invalidInput, "a layout needs axes: a list of [name, extent, stride in bytes]")
    }
    var axes: [Axis] = []
    for element in list {
      guard let values = element.elements, values.count == 3, let name = values[0].text, let extent = values[1].int,
        let stride = values[2].int
      else {
        throw RoostError(
          .invalidInput, "axis \(axes.count) is not [name, extent, stride in bytes]: \(element.excerpt)")
      }
      axes.append(Axis(AxisName(name), extent, strideBytes: stride))
    }
    guard let item = json["itemsize"]?.int else {
      throw RoostError(.invalidInput, "a layout needs itemsize: bytes of an element, a whole number")
    }
    let offset = json["offset"] ?? .integer(0)
    guard let offset = offset.int else {
      throw RoostError(.invalidInput, "offset must be a whole number of bytes, not \(offset.excerpt)")
    }
    self.init(axes: axes, itemByteCount: item, offsetBytes: offset)
  }

  fileprivate var members: [JSONMember] {
    [
      JSONMember(
        "axes", .array(axes.map { .array([.string($0.name.text), .count($0.extent), .count($0.strideBytes)]) })),
      JSONMember("itemsize", .count(itemByteCount)), JSONMember("offset", .count(offsetBytes)),
    ]
  }
}

extension JSONValue {
  /// The value for an error message: at most 60 characters of it.
  public var excerpt: String {
    let text = serialized
    return text.count <= 60 ? text : text.prefix(60) + "..."
  }
}
