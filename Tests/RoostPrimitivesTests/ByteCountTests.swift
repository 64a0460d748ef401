import RoostPrimitives
import Testing

@Suite struct ByteCountTests {
  @Test(arguments: [("4GiB", 4 << 30), ("256KiB", 256 << 10), ("1.5m", 3 << 19), ("2 GB", 2_000_000_000), ("77", 77)])
  func readsWhatPeopleWrite(text: String, bytes: Int) throws {
    #expect(try ByteCount(parsing: text).bytes == bytes)
  }

  @Test(arguments: ["", "GiB", "-1GiB", "4 gigs", "1e99", "99999999999999TiB", "1.2.3MiB"])
  func refusesWhatIsNotASize(text: String) {
    #expect(throws: RoostError.self) { try ByteCount(parsing: text) }
  }

  @Test func printsTheLargestUnit() {
    #expect(ByteCount(0).description == "0 B")
    #expect(ByteCount(1536).description == "1.5 KiB")
    #expect(ByteCount.gibibytes(4).description == "4 GiB")
  }
}
