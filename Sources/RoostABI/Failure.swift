import CRoostABI
import RoostPrimitives

/// How errors leave the library: as a status, and as text that the calling thread can read.
enum Failure {
  /// Runs the body of an entry point.
  static func caught(_ body: () throws(RoostError) -> Void) -> roost_status {
    do throws(RoostError) {
      try body()
      return roost_status(ROOST_OK)
    } catch {
      return keep(error)
    }
  }

  /// Keeps the error for the calling thread and gives its status.
  static func keep(_ error: RoostError) -> roost_status {
    var message = error.description
    var context = ([error] + error.causes).flatMap(\.context)
      .map { "\($0.name)=\(escaped($0.value))" }.joined(separator: "\n")
    message.withUTF8 { message in
      context.withUTF8 { context in
        // A Swift string without bytes may have no address.
        message.withMemoryRebound(to: CChar.self) { message in
          context.withMemoryRebound(to: CChar.self) { context in
            roost_abi_set_error(message.baseAddress, message.count, context.baseAddress, context.count)
          }
        }
      }
    }
    return status(of: error.code)
  }

  private static func escaped(_ text: String) -> String { text.replacing("\n", with: " ") }

  static func status(of code: RoostError.Code) -> roost_status {
    let status =
      switch code {
      case .invalidInput: ROOST_INVALID_INPUT
      case .notFound: ROOST_NOT_FOUND
      case .busy: ROOST_BUSY
      case .outOfResources: ROOST_OUT_OF_RESOURCES
      case .unsupported: ROOST_UNSUPPORTED
      case .timedOut: ROOST_TIMED_OUT
      case .cancelled: ROOST_CANCELLED
      case .corrupt: ROOST_CORRUPT
      case .stale: ROOST_STALE
      case .lost: ROOST_LOST
      case .system: ROOST_SYSTEM
      }
    return roost_status(status)
  }

  static func code(of status: roost_status) -> RoostError.Code? {
    RoostError.Code.allCases.first { Failure.status(of: $0) == status }
  }
}
