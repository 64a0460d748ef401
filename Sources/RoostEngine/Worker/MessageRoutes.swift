import RoostPool
import RoostPrimitives

/// What the application hears of its workers.
public enum WorkerEvent: Sendable, Hashable {
  /// A process attached the pool; `Engine.connect` makes a data plane of it.
  case joined(AttachmentID, pid: Int32)
  /// It left or died; its jobs have failed, its leases are back.
  case gone(AttachmentID)
}

/// Which remote data plane hears of which attachment, and what the application has not taken yet.
struct MessageRoutes {
  /// Held until the worker is gone or the engine closes: a plane that its user drops still has jobs to hear of.
  var routes: [AttachmentID: RemoteDataPlane] = [:]
  var events: [WorkerEvent] = []
  var attachments: Set<AttachmentID> = []
}

extension Engine {
  /// Takes what happened to workers since the last call: fences of those that are gone fall, results reach their data
  /// planes. Does not block. To be called regularly where workers attach; `wait` of a remote data plane calls it too.
  @discardableResult public func poll() -> [WorkerEvent] {
    guard let pool else { return [] }
    return routes.withLock { routes in
      for event in pool.events() { handle(event, &routes) }
      let events = routes.events
      routes.events.removeAll()
      return events
    }
  }

  /// Results and news for others stay for the next `poll`.
  func pump() {
    guard let pool else { return }
    routes.withLock { routes in
      for event in pool.events() { handle(event, &routes) }
    }
    tellWorkers()
  }

  /// Starts the thread that serves workers, for engines that hand leases out.
  func startServing() throws(RoostError) {
    guard configuration.servesWorkers, let pool, pool.configuration.acceptsAttachments else { return }
    let made = try WorkerService(pool) { [weak self] in
      guard let self else { return false }
      self.pump()
      return true
    }
    service.withLock { $0 = made }
  }

  /// The data plane that runs in an attached process; always the same one for an attachment.
  public func connect(_ attachment: AttachmentID) -> RemoteDataPlane {
    routes.withLock { routes in
      if let plane = routes.routes[attachment] { return plane }
      let plane = RemoteDataPlane(engine: self, attachment: attachment)
      if routes.attachments.contains(attachment) {
        routes.routes[attachment] = plane
      } else {
        plane.lose()
      }
      return plane
    }
  }

  private func handle(_ event: PoolEvent, _ routes: inout MessageRoutes) {
    switch event {
    case .joined(let attachment, let pid):
      routes.attachments.insert(attachment)
      routes.events.append(.joined(attachment, pid: pid))
    case .message(let attachment, let bytes):
      if !handleLeaseMessage(attachment, bytes) { routes.routes[attachment]?.receive(bytes) }
    case .gone(let attachment):
      routes.attachments.remove(attachment)
      // First, so that no job is accepted between the fall of the fences and this.
      routes.routes.removeValue(forKey: attachment)?.lose()
      attachmentGone(Int(attachment.index))
      handOutWorkerGone(attachment)
      routes.events.append(.gone(attachment))
    }
  }
}
