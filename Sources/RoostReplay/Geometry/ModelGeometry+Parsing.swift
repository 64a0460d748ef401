import RoostConsole
import RoostDevice
import RoostPrimitives

extension ModelGeometry {
  /// Reads what `--model` takes: a known name (or the beginning of exactly one), or
  /// `layers=32,heads=8,head-dim=128,dtype=bfloat16,tokens=512`, with `latent=576` in place of heads and head-dim for
  /// MLA; dtype and tokens may be left out.
  ///
  /// - Throws: `invalidInput` that says what there is.
  public init(parsing text: String) throws(RoostError) {
    if text.contains("=") {
      self = try ModelGeometry.explicit(text)
      return
    }
    let wanted = text.lowercased()
    let names = ModelGeometry.known.map(\.name)
    let exact = ModelGeometry.known.filter { $0.name == wanted }
    let found = exact.isEmpty ? ModelGeometry.known.filter { !wanted.isEmpty && $0.name.hasPrefix(wanted) } : exact
    guard found.count == 1, let model = found.first else {
      let near = nearest(to: wanted, among: names).map { "did you mean '\($0)'? " } ?? ""
      let reason = found.isEmpty ? "is not a known model" : "means more than one model"
      throw RoostError(
        .invalidInput,
        "'\(text)' \(reason); \(near)there are \(names.joined(separator: ", ")), or write layers=32,heads=8,head-dim=128"
      )
    }
    self = model
  }

  private static func explicit(_ text: String) throws(RoostError) -> ModelGeometry {
    var fields: [String: String] = [:]
    for part in text.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, fieldNames.contains(pair[0]) else {
        let near = nearest(to: pair.first ?? "", among: fieldNames).map { "; did you mean '\($0)'?" } ?? ""
        let all = fieldNames.joined(separator: ", ")
        throw RoostError(.invalidInput, "--model: '\(part)' is not name=value with one of \(all)\(near)")
      }
      guard fields.updateValue(pair[1], forKey: pair[0]) == nil else {
        throw RoostError(.invalidInput, "--model: \(pair[0]) is given twice")
      }
    }
    let isLatent = fields["latent"] != nil
    if isLatent, let extra = ["heads", "head-dim"].first(where: { fields[$0] != nil }) {
      throw RoostError(.invalidInput, "--model: a model with latent has no \(extra)")
    }
    func number(_ name: String, atMost limit: Int, otherwise: Int? = nil) throws(RoostError) -> Int {
      guard let text = fields[name] else {
        if let otherwise { return otherwise }
        throw RoostError(.invalidInput, "--model: \(name) is missing, for one layers=32,heads=8,head-dim=128")
      }
      guard let value = Int(text), (1...limit).contains(value) else {
        throw RoostError(.invalidInput, "--model: \(name) takes a whole number from 1 to \(limit), not '\(text)'")
      }
      return value
    }
    let values =
      isLatent ? try number("latent", atMost: 1 << 16) : 2 * (try number("head-dim", atMost: 1 << 12))
    return try ModelGeometry(
      name: text, layerCount: try number("layers", atMost: 1 << 10),
      headCount: isLatent ? 1 : try number("heads", atMost: 1 << 10), contentValueCount: values,
      dataType: try dataType(named: fields["dtype"]),
      tokenCount: try number("tokens", atMost: 1 << 16, otherwise: tokenCountDefault)
    ).checked()
  }

  private static let fieldNames = ["layers", "heads", "head-dim", "latent", "dtype", "tokens"]

  private static func dataType(named name: String?) throws(RoostError) -> DataType {
    guard let name else { return .bfloat16 }
    let short = ["fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp8": "float8e4m3"]
    guard let type = DataType(rawValue: short[name] ?? name) else {
      let all = DataType.allCases.map(\.rawValue).joined(separator: ", ")
      throw RoostError(.invalidInput, "--model: there is no dtype '\(name)'; there are \(all)")
    }
    return type
  }

  private func checked() throws(RoostError) -> ModelGeometry {
    guard contentValueCount * dataType.bitCount % 8 == 0 else {
      throw RoostError(.invalidInput, "--model: the values of one head of one token do not fill whole bytes")
    }
    guard tokenCount < ModelGeometry.kernelTokenCount || tokenCount % ModelGeometry.kernelTokenCount == 0 else {
      throw RoostError(
        .invalidInput, "--model: tokens must be a multiple of \(ModelGeometry.kernelTokenCount), not \(tokenCount)")
    }
    return self
  }
}
