import RoostPrimitives

/// The end of an error message that proposes what was probably meant, `; did you mean '--policy'?`, or nothing if
/// nothing known is near.
func suggestion(for typed: String, among known: [String]) -> String {
  guard let nearest = nearest(to: typed, among: known) else { return "" }
  return "; did you mean '\(nearest)'?"
}
