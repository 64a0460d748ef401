/// A first-in, first-out list with constant-time ends and removal from the middle.
struct Fifo<Element> {
  private var items: [Element?] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// The elements, oldest first.
  var elements: [Element] { items[head...].compactMap { $0 } }

  var first: Element? { head < items.count ? items[head] : nil }

  mutating func append(_ element: Element) {
    items.append(element)
    count += 1
  }

  mutating func removeFirst() -> Element? {
    guard head < items.count, let element = items[head] else { return nil }
    items[head] = nil
    head += 1
    count -= 1
    trim()
    return element
  }

  /// Removes the oldest element that satisfies `isWanted`.
  mutating func remove(where isWanted: (Element) -> Bool) -> Element? {
    for index in items.indices.dropFirst(head) {
      guard let element = items[index], isWanted(element) else { continue }
      items.remove(at: index)
      count -= 1
      trim()
      return element
    }
    return nil
  }

  /// Changes the oldest element that satisfies `isWanted`; nil if there is none.
  mutating func update<Result>(where isWanted: (Element) -> Bool, _ body: (inout Element) -> Result) -> Result? {
    for index in items.indices.dropFirst(head) {
      guard var element = items[index], isWanted(element) else { continue }
      let result = body(&element)
      items[index] = element
      return result
    }
    return nil
  }

  /// Keeps the unused front below half of the array: constant time in the long run.
  private mutating func trim() {
    guard head > 32, head * 2 > items.count else {
      if count == 0 {
        items.removeAll(keepingCapacity: true)
        head = 0
      }
      return
    }
    items.removeFirst(head)
    head = 0
  }
}
