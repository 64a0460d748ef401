import CRoostVendors
import RoostDevice
import RoostPrimitives

/// Other libraries of the vendor's, which work in the device's context.
extension CUDADriver {
  /// The device's context, for calls of other libraries.
  struct Context: Sendable {
    let library: CUDALibrary
    let handle: UInt

    /// Calls something with the context as the calling thread's own.
    func run<Result>(_ body: () -> Result) throws(RoostError) -> Result {
      var pushed: CInt = 0
      let entered = roost_cuda_enter(library.table, pointer(handle), &pushed)
      guard entered == 0 else { throw library.error(entered, pushed < 0 ? "CtxPushCurrent_v2" : "CtxGetCurrent") }
      let result = body()
      let left = pushed > 0 ? roost_cuda_leave(library.table) : 0
      if left != 0 { throw library.error(left, "CtxPopCurrent_v2") }
      return result
    }
  }

  var runtime: Context { Context(library: library, handle: context) }

  /// Opens what was asked for. What cannot be had is a line in the log and a capability less; the device works without.
  static func companions(
    _ configuration: CUDADeviceConfiguration, _ context: Context
  ) -> (NCCLLibrary?, CUDADirectStorage?, [RoostError]) {
    var refusals: [RoostError] = []
    func attempt<Library>(_ open: () throws(RoostError) -> Library?) -> Library? {
      do throws(RoostError) {
        return try open()
      } catch {
        Log.write(.warning, "\(error)")
        refusals.append(error)
        return nil
      }
    }
    let collectives = attempt { () throws(RoostError) in try NCCL.find(configuration.collectiveLibrary) }
    let storage = attempt { () throws(RoostError) -> CUDADirectStorage? in
      guard let path = configuration.directStorageLibrary else { return nil }
      return try CUDADirectStorage(path, seconds: configuration.sideSeconds, in: context)
    }
    return (collectives, storage, refusals)
  }
}
