import RoostPrimitives

@testable import RoostBuiltins
@testable import TierDisk

extension DiskTier {
  /// Where orders and table differ about what is there; for a tier without reads or writes under way.
  var orderProblems: [String] {
    core.withLock { core in
      var problems: [String] = []
      for (slotByteCount, order) in core.table.orders {
        guard let order = order as? PolicyOrder, let size = core.table.classes[slotByteCount] else { continue }
        problems += order.table.checkInvariants()
        let known = order.table.statistics
        if known.free != size.free.count { problems.append("\(known.free) slots are free, not \(size.free.count)") }
        if known.resident != size.used.count || known.evictable != known.resident {
          problems.append("\(known.resident) pages, \(known.evictable) of them idle, not \(size.used.count)")
        }
        if known.leases != 0 { problems.append("\(known.leases) leases are left") }
      }
      return problems
    }
  }
}
