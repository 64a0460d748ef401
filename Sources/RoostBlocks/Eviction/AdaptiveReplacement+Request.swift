import RoostPrimitives

/// The textbook, a block of the request at a time.
extension AdaptiveReplacement {
  /// A block that has a slot.
  func countHeld(_ record: RecordNumber, _ event: RequestEvent, _ victims: inout [RecordNumber]) {
    let list = queues.queue(of: record)
    switch list {
    case List.lostOnce, List.lostAgain:
      comeBack(wasOnce: list == List.lostOnce, event.capacity)
      _ = replace(isAgainGhost: list == List.lostAgain, event.states, &victims)
      noteBack(wasOnce: list == List.lostOnce)
    case _ where queues.isIn(List.once, record):
      sizes.once -= 1
      sizes.again += 1
    case _ where queues.isIn(List.again, record): break
    default: return
    }
    queues.append(record, to: List.counted)
  }

  /// A block that has none; `room` is how many more need no victim.
  func countNewcomer(
    _ record: RecordNumber, _ event: RequestEvent, _ room: inout Int, _ victims: inout [RecordNumber]
  ) {
    let list = record == .none ? 0 : queues.queue(of: record)
    let isGhost = list == List.onceGhosts || list == List.againGhosts
    if isGhost {
      comeBack(wasOnce: list == List.onceGhosts, event.capacity)
    } else if makeWay(event, &room, &victims) {
      arrive()
      return
    }
    if room > 0 {
      room -= 1
    } else if !replace(isAgainGhost: list == List.againGhosts, event.states, &victims) {
      sizes.refused += 1
      return
    }
    if isGhost {
      noteBack(wasOnce: list == List.onceGhosts)
      queues.append(record, to: list == List.onceGhosts ? List.backOnce : List.backAgain)
    } else {
      arrive()
    }
  }

  private func arrive() {
    sizes.once += 1
    sizes.arrived += 1
  }

  /// A ghost comes back: its list should have been longer.
  private func comeBack(wasOnce: Bool, _ capacity: Int) {
    let (once, again) = (Double(max(1, sizes.onceGhosts)), Double(max(1, sizes.againGhosts)))
    if wasOnce {
      target = min(Double(capacity), target + max(1, Double(sizes.againGhosts) / once))
    } else {
      target = max(0, target - max(1, Double(sizes.onceGhosts) / again))
    }
  }

  private func noteBack(wasOnce: Bool) {
    if wasOnce { sizes.onceGhosts -= 1 } else { sizes.againGhosts -= 1 }
    sizes.again += 1
  }

  /// Keeps the ghosts' bounds before a block that nobody knew enters T1. True: that has made a slot free, too.
  private func makeWay(_ event: RequestEvent, _ room: inout Int, _ victims: inout [RecordNumber]) -> Bool {
    let capacity = event.capacity
    if sizes.once + sizes.onceGhosts >= capacity {
      if sizes.once < capacity {
        giveUp(List.onceGhosts)
      } else if room == 0 {
        let wasEvicted = take(fromOnce: true, event.states, &victims)
        // Nothing is remembered of what goes when T1 is all there is.
        if wasEvicted { giveUp(List.onceGhosts) }
        return wasEvicted
      }
    } else if sizes.all >= 2 * capacity {
      giveUp(List.againGhosts)
    }
    return false
  }

  /// The oldest ghost of a list will be dropped.
  private func giveUp(_ list: Int) {
    if list == List.onceGhosts { sizes.onceGhosts -= 1 } else { sizes.againGhosts -= 1 }
    guard let ghost = queues.oldest(list) else { return }
    queues.append(ghost, to: queues.isOwn(ghost) ? List.forgotten : List.gone)
  }

  /// Evicts from the list that is longer than it should be, or else from the other one. False: there is nothing.
  func replace(isAgainGhost: Bool, _ states: BlockStates, _ victims: inout [RecordNumber]) -> Bool {
    let length = Double(sizes.once)
    let fromOnce = sizes.once > 0 && (length > target || isAgainGhost && sizes.once == Int(target))
    return take(fromOnce: fromOnce, states, &victims) || take(fromOnce: !fromOnce, states, &victims)
  }

  /// The oldest block of a list becomes a ghost. Of the request's own ones only newcomers really go: they are refused.
  private func take(fromOnce: Bool, _ states: BlockStates, _ victims: inout [RecordNumber]) -> Bool {
    let list = fromOnce ? List.once : List.again
    while let oldest = queues.oldest(list) {
      let isOwn = queues.isOwn(oldest)
      guard isOwn || states.isEvictable(oldest) else {
        queues.append(oldest, to: queues.aside(list))
        continue
      }
      if isOwn {
        queues.append(oldest, to: fromOnce ? List.lostOnce : List.lostAgain)
      } else {
        queues.append(oldest, to: fromOnce ? List.onceGhosts : List.againGhosts)
        victims.append(oldest)
      }
      noteLoss(fromOnce: fromOnce)
      return true
    }
    guard fromOnce, sizes.arrived > 0 else { return false }
    sizes.arrived -= 1
    sizes.refused += 1
    noteLoss(fromOnce: true)
    return true
  }

  private func noteLoss(fromOnce: Bool) {
    if fromOnce {
      sizes.once -= 1
      sizes.onceGhosts += 1
    } else {
      sizes.again -= 1
      sizes.againGhosts += 1
    }
  }
}
