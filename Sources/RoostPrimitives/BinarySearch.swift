extension Array {
  /// Binary search: the first index whose element `isBeyond`, or `count`.
  ///
  /// - Parameter isBeyond: holds for no element, or for one and all after it.
  public func partitioningIndex(_ isBeyond: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if isBeyond(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
