/// The pages of a job, listed when the job starts, on whichever thread starts it: who submits many pages has better to do.
public struct PageSource: Sendable {
  /// How many pages there are at most.
  public let countMax: Int
  let isChecked: Bool
  private let list: @Sendable (inout [PageCopy]) -> Void

  /// Pages that `list` appends, at most `countMax`. It is called once, or not at all if the job is cancelled or refused.
  /// It must not call the queue.
  public init(countMax: Int, list: @escaping @Sendable (inout [PageCopy]) -> Void) {
    self.init(countMax: countMax, isChecked: false, list)
  }

  /// Pages that are known, and good for the job's template.
  init(checked pages: UnsafeBufferPointer<PageCopy>) {
    let pages = Array(pages)
    self.init(countMax: pages.count, isChecked: true) { $0 += pages }
  }

  private init(countMax: Int, isChecked: Bool, _ list: @escaping @Sendable (inout [PageCopy]) -> Void) {
    self.countMax = countMax
    self.isChecked = isChecked
    self.list = list
  }

  /// Appends the pages.
  func append(to pages: inout [PageCopy]) { list(&pages) }
}
