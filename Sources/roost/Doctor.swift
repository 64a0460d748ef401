import RoostPrimitives

/// Judges a machine: from what was found to what it means and what to do. Pure, so that every judgement can be tested.
enum Doctor {
  /// A size and what of it is free.
  struct Space: Hashable, Sendable {
    var totalBytes: Int
    var freeBytes: Int
  }

  /// vLLM as it is installed.
  struct Inference: Hashable, Sendable {
    var version: String
    /// What it hashes blocks with unless told otherwise; empty if unknown.
    var hashAlgorithm: String
  }

  /// Below this /dev/shm is what container runtimes give by default (64 MiB), or little more.
  static let sharedMemoryBytesMin = 1 << 30
  /// What a device registers at least: a chunk of the pool.
  static let lockedBytesMin = 1 << 30
  /// Below this a pool is not worth its trouble.
  static let roomBytesMin = 1 << 30
  /// The versions that `roost.vllm` works with.
  static let supportedInference = "0.32"

  static func memoryFiles(obstacle: String?) -> DoctorFinding {
    guard let obstacle else { return .good("memfd", "memory files work") }
    return .bad(
      "memfd", "memory files do not work: \(obstacle)",
      fix: "allow memfd_create in the container's seccomp profile, or set 'directory' to a folder on a tmpfs")
  }

  static func sharedMemory(_ space: Space?) -> DoctorFinding {
    guard let space else {
      return .warning("/dev/shm", "not there", fix: "mount a tmpfs on /dev/shm; only pools with a 'directory' need it")
    }
    let found = "\(ByteCount(space.freeBytes)) free of \(ByteCount(space.totalBytes))"
    guard space.freeBytes < sharedMemoryBytesMin else { return .good("/dev/shm", found) }
    return .warning(
      "/dev/shm", found,
      fix:
        "docker --shm-size=16g; Kubernetes: an emptyDir with medium Memory on /dev/shm; else mount -o remount,size=16g "
        + "/dev/shm. Only pools with a 'directory' there need it")
  }

  static func lockedMemory(limitBytes: Int?) -> DoctorFinding {
    guard let limitBytes else {
      return .good("memlock", "unlimited: accelerators and disk tiers register the pool's memory")
    }
    guard limitBytes < lockedBytesMin else {
      return .good("memlock", "accelerators and disk tiers register at most \(ByteCount(limitBytes)) of the pool")
    }
    let found = "at most \(ByteCount(limitBytes))"
    return .warning(
      "memlock", found,
      fix:
        "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity; docker --ulimit memlock=-1): without it accelerators copy "
        + "through a small pinned buffer, and disk tiers read into memory that is not registered")
  }

  static func controlGroup(_ limit: (roomBytes: Int, limitBytes: Int, file: String)?) -> DoctorFinding {
    guard let limit else { return .good("cgroup", "no memory limit") }
    let found = "\(ByteCount(limit.roomBytes)) left of a limit of \(ByteCount(limit.limitBytes))"
    guard limit.roomBytes < roomBytesMin else { return .good("cgroup", found) }
    return .warning(
      "cgroup", found,
      fix:
        "raise \(limit.file) (docker --memory, Kubernetes resources.limits.memory) to the model's need plus 'capacity'")
  }

  /// `chosen` is what stands in brackets in shmem_enabled, which rules memory files.
  static func hugePages(chosen: String?) -> DoctorFinding {
    switch chosen {
    case "always", "advise", "within_size", "force": return .good("huge pages", "shared memory: \(chosen ?? "")")
    default:
      return .warning(
        "huge pages", "shared memory: \(chosen ?? "unknown")",
        fix: "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled, as root on the host: copies get faster")
    }
  }

  /// `disabled` is kernel.io_uring_disabled, where the kernel has it.
  static func ring(obstacle: String?, disabled: Int?) -> DoctorFinding {
    guard let obstacle else { return .good("io_uring", "works") }
    let fix =
      (disabled ?? 0) > 0
      ? "sysctl kernel.io_uring_disabled=0, as root on the host"
      : "allow io_uring in the container's seccomp profile, and raise memlock"
    return .warning("io_uring", obstacle, fix: fix + "; until then disk tiers use threads")
  }

  static func memoryNodes(count: Int) -> DoctorFinding {
    guard count > 1 else { return .good("NUMA", "one node") }
    return .warning(
      "NUMA", "\(count) nodes",
      fix: "start each engine with numactl --cpunodebind=N --membind=N, N being its accelerator's node")
  }

  static func inference(_ found: Inference?, obstacle: String) -> DoctorFinding {
    guard let found else {
      return .warning("vLLM", obstacle, fix: "name the Python that vLLM is in: roost doctor --python VENV/bin/python")
    }
    guard found.version == supportedInference || found.version.hasPrefix(supportedInference + ".") else {
      return .bad("vLLM", found.version, fix: "install vLLM \(supportedInference): Roost's connector refuses others")
    }
    return .good("vLLM", found.version)
  }

  /// `seed` is PYTHONHASHSEED. vLLM starts every chain of hashes from it; without it, from a constant, or, for hashes that
  /// are not cryptographic, from a random number.
  static func hashes(algorithm: String, seed: String?) -> DoctorFinding {
    let found = "\(algorithm.isEmpty ? "unknown" : algorithm), PYTHONHASHSEED \(seed.map { "'\($0)'" } ?? "not set")"
    if seed == "random" {
      return .warning(
        "hashes", found, fix: "export PYTHONHASHSEED=0, or unset it: otherwise processes share pages by luck alone")
    }
    if seed == nil, algorithm.hasPrefix("xxhash") {
      return .warning(
        "hashes", found,
        fix:
          "vllm --prefix-caching-hash-algo sha256, or PYTHONHASHSEED=0 everywhere: otherwise no two processes share pages"
      )
    }
    if let seed { return .good("hashes", found + ": pages are shared by processes that have '\(seed)' too") }
    return .good("hashes", found)
  }
}
