import CRoostPlatform

/// Asks the processor for the cache line at `address` and does not wait. Any address is harmless.
@inlinable @inline(__always) public func prefetch(_ address: UnsafeRawPointer) { roost_prefetch(address) }
