/// A nearest word may differ from what was typed by at most this share of its letters: more is not a typing error.
private let distanceShareMax = 0.4

/// The known word that `typed` is a likely misspelling of, nil if none is near. Of equally near ones the first wins.
public func nearest(to typed: String, among known: [String]) -> String? {
  func letters(_ word: String) -> [UInt8] { Array(word.lowercased().utf8.drop { $0 == UInt8(ascii: "-") }) }
  let wanted = letters(typed)
  guard !wanted.isEmpty else { return nil }
  var best: (word: String, distance: Int)?
  for word in known {
    let candidate = letters(word)
    let distance = candidate.starts(with: wanted) ? 1 : editDistance(wanted, candidate)
    let limit = Double(max(wanted.count, candidate.count)) * distanceShareMax
    if Double(distance) <= max(1, limit), distance < best?.distance ?? .max { best = (word, distance) }
  }
  return best?.word
}

/// How many letters must be inserted, dropped, changed or swapped with their neighbour to get from one word to the
/// other (optimal string alignment). `left.count * right.count` steps.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
  var before = [Int](repeating: 0, count: right.count + 1)
  var above = Array(0...right.count)
  for row in 1...left.count {
    var current = [row]
    for column in 1...right.count {
      let isSame = left[row - 1] == right[column - 1]
      var cost = min(above[column] + 1, current[column - 1] + 1, above[column - 1] + (isSame ? 0 : 1))
      if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
        cost = min(cost, before[column - 2] + 1)
      }
      current.append(cost)
    }
    (before, above) = (above, current)
  }
  return above[right.count]
}
