import CRoostRing
import RoostPrimitives

/// The files that a ring has registered, so that the kernel need not look their descriptors up for every operation.
/// Not thread-safe.
struct RingFiles {
  private let ring: OpaquePointer
  /// A file is held as long as it is registered, so that no other comes to have its identity.
  private var places: [ObjectIdentifier: (file: DiskFile, place: CInt)] = [:]
  private var hasPlaces: Bool
  private let countMax: Int

  init(_ ring: OpaquePointer, countMax: Int) {
    self.ring = ring
    self.countMax = countMax
    hasPlaces = countMax > 0 && roost_ring_open_file_places(ring, UInt32(countMax)) >= 0
  }

  /// How many there are.
  var count: Int { places.count }

  /// Where the file is registered, which it is when it is met first; -1 if it cannot be.
  mutating func place(of file: DiskFile) -> CInt {
    if let known = places[ObjectIdentifier(file)] { return known.place }
    guard hasPlaces, places.count < countMax else { return -1 }
    let place = CInt(places.count)
    guard roost_ring_register_file(ring, UInt32(place), file.queueDescriptor) >= 0 else {
      hasPlaces = false
      return -1
    }
    places[ObjectIdentifier(file)] = (file, place)
    return place
  }

  /// Holds no file any more, nor will. The ring lets go of its own with `roost_ring_unregister`.
  mutating func close() {
    places = [:]
    hasPlaces = false
  }
}
