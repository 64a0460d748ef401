import RoostPrimitives
import Testing

@Suite struct BinarySearchTests {
  @Test func findsWhereALinearSearchDoes() {
    for count in 0..<40 {
      let values = (0..<count).map { $0 / 3 * 2 }
      for wanted in -1...count {
        let linear = values.firstIndex { $0 > wanted } ?? count
        #expect(values.partitioningIndex { $0 > wanted } == linear, "\(count) values, beyond \(wanted)")
      }
    }
  }
}
