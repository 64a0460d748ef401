import RoostBuiltins
import RoostConsole
import RoostEngine
import RoostPool
import RoostPrimitives

/// `roost worker`: a data plane in a process of its own.
enum WorkerCommand {
  static var command: Command {
    var command = Command(
      "worker", summary: "run a data plane in a process of its own, as benchmarks and tests do"
    ) { (arguments) throws(RoostError) in try run(arguments) }
    command.discussion = [
      """
      Attaches a pool that another process owns, allocates a KV cache of one tensor a layer, and copies pages as the \
      owner tells it until the owner says stop or is gone. `roost bench transfer` starts it for its rows 'process/...'. \
      It is also the shortest example of how an inference engine's worker uses a pool.
      """
    ]
    command.options = [
      .value("pool", "ADDRESS", "Where the pool is: what its owner prints, such as unix:@NAME. Required."),
      .value("layers", "N", "Tensors: pieces of a page. Default 32."),
      .value("piece-bytes", "SIZE", "Bytes of one layer's piece of a block. Default 64KiB."),
      .value("blocks", "N", "Blocks on the device. Default 64."),
      .value("device", "URI", "The device. Default cpu:0."),
    ]
    command.examples = [
      CommandExample("roost worker --pool unix:@roost-0-mypool --layers 32", "Serve the pool 'mypool'.")
    ]
    return command
  }

  private static func run(_ arguments: Arguments) throws(RoostError) -> ExitStatus {
    guard let pool = arguments.text("pool") else {
      throw RoostError(.invalidInput, "a worker needs to know its pool; add --pool ADDRESS")
    }
    let shape = LayeredCache.Shape(
      layerCount: try arguments.integer("layers", in: 1...4096) ?? 32,
      pieceByteCount: (try arguments.byteCount("piece-bytes") ?? .kibibytes(64)).bytes,
      blockCount: try arguments.integer("blocks", in: 1...1 << 30) ?? 64)
    let device = try Builtins.devices().open(arguments.text("device") ?? "cpu:0")
    let cache = try LayeredCache(shape, on: device)
    let attachment = try PoolAttachment.attach(
      to: try PoolAddress(parsing: pool), until: .after(seconds: attachSeconds))
    let plane = try LocalDataPlane(attachment: attachment, device: device, templates: [cache.template])
    let probe = Worker.Probe(fill: { cache.fill($0, seed: $1) }, verify: { cache.wrongByteCount($0, seed: $1) })
    try Worker(attachment: attachment, plane: plane, probe: probe).run()
    return .success
  }

  /// An owner answers within milliseconds; a machine under heavy load, within seconds.
  private static let attachSeconds = 10.0
}
