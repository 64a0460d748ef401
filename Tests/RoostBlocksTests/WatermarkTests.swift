import RoostPrimitives
import Testing

@testable import RoostBlocks

@Suite struct WatermarkTests {
  @Test func evictionStartsAboveTheStartAndGoesDownToTheStop() throws {
    let mark = try Watermark(start: 0.9, stop: 0.8)
    #expect(mark.excess(used: 90, capacity: 100) == 0)
    #expect(mark.excess(used: 91, capacity: 100) == 11)
    #expect(mark.excess(used: 100, capacity: 100) == 20)
    #expect(mark.excess(used: 0, capacity: 0) == 0)
  }

  @Test func theRatioBoundsOneGo() throws {
    let mark = try Watermark(start: 0.5, stop: 0.1, ratio: 0.05)
    #expect(mark.excess(used: 100, capacity: 100) == 5)
    #expect(mark.excess(used: 6, capacity: 7) == 1)
  }

  @Test(arguments: [(0.5, 0.6, 1.0), (1.1, 0.5, 1), (0.5, -0.1, 1), (0.5, 0.4, 0), (.nan, 0.4, 1), (0.5, 0.4, .nan)])
  func sharesThatMakeNoSenseAreRefused(start: Double, stop: Double, ratio: Double) {
    #expect(throws: RoostError.self) { try Watermark(start: start, stop: stop, ratio: ratio) }
  }
}
