import Glibc
import RoostPrimitives

/// Zeroed memory for a fixed number of trivial elements, reserved at once and backed by the kernel as it is touched.
///
/// So a table can be made for all the slots that its pool may ever commit: what is not used costs address space only,
/// and nothing ever grows by copying, which would stop every request for the length of the copy. Large arrays ask for
/// huge pages: random access to hundreds of megabytes is bound by address translation otherwise.
///
/// Elements must be trivial and all-zero bytes must be a value of them. Not thread-safe.
struct ReservedArray<Element>: ~Copyable {
  /// The first element.
  let pointer: UnsafeMutablePointer<Element>
  /// How many elements were reserved.
  let count: Int
  private let byteCount: Int

  /// Reserves `count` elements.
  ///
  /// - Throws: `outOfResources` when the process may not have that much address space.
  init(count: Int) throws(RoostError) {
    let hugePage = 2 << 20
    let wanted = max(1, count) * MemoryLayout<Element>.stride
    let granule = wanted >= hugePage ? hugePage : Int(sysconf(CInt(_SC_PAGESIZE)))
    let byteCount = (wanted + granule - 1) / granule * granule
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), address != MAP_FAILED else {
      throw .system(
        "mmap", errno, "cannot reserve memory for the block table; raise the limit on address space (ulimit -v)",
        context: [("bytes", "\(byteCount)")])
    }
    // Advice: a kernel without huge pages answers with an error, and nothing is lost but speed.
    if wanted >= hugePage { _ = madvise(address, byteCount, CInt(MADV_HUGEPAGE)) }
    self.pointer = address.bindMemory(to: Element.self, capacity: count)
    self.count = count
    self.byteCount = byteCount
  }

  deinit { munmap(pointer, byteCount) }

  /// Bytes of the elements; the mapping is rounded up to whole pages.
  var reservedBytes: Int { count * MemoryLayout<Element>.stride }

  /// Makes every element zero again and gives the memory back to the system.
  func zero() { _ = madvise(pointer, byteCount, CInt(MADV_DONTNEED)) }
}
