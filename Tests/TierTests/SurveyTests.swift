import Foundation
import RoostConformance
import RoostPrimitives
import Testing

@testable import TierDisk

/// What `roost forget` does to a directory. The other depths are tested through `roost disk`'s users and DiskTierTests.
@Suite struct SurveyTests {
  @Test func forgettingOverwritesOneIdentityAndNothingElse() throws {
    try Scratch.withDirectory { path in
      let sheets = (0..<25 as Range<UInt64>).map { TierSheet($0, byteCount: 9000) }
      let identity = sheets[3].name.identity
      let tier = try Scratch.open(path)
      #expect(try tier.write(sheets).allSatisfy { $0 == .done })
      // A note of a removed page still names it.
      _ = try tier.run(.remove, [sheets[3].forReading])
      #expect(throws: RoostError.self) { try DiskSurvey(path, .forgetting(identity)) }
      tier.close(until: Scratch.patience)
      let survey = try DiskSurvey(path, .forgetting(identity))
      try survey.run { _, _ in }
      #expect(survey.freedCount == 5 && survey.damages.isEmpty && !survey.identities.keys.contains(identity))
      #expect(survey.pageCount == 20)
      let files = (0..<11).compactMap { try? Data(contentsOf: URL(fileURLWithPath: path + "/segment-000\($0)")) }
      for sheet in sheets {
        let mark = Data(sheet.memory[4000..<4064])
        #expect(files.contains { $0.range(of: mark) != nil } == (sheet.name.identity != identity))
      }
      withExtendedLifetime(survey) {}
    }
  }

  @Test func aForgottenTierOpensWithoutThePages() throws {
    try Scratch.withDirectory { path in
      let sheets = (0..<25 as Range<UInt64>).map { TierSheet($0, byteCount: 9000) }
      let identity = sheets[3].name.identity
      var tier = try Scratch.open(path)
      _ = try tier.write(sheets)
      tier.close(until: Scratch.patience)
      do {
        let survey = try DiskSurvey(path, .forgetting(identity))
        try survey.run { _, _ in }
      }
      tier = try Scratch.open(path)
      for (sheet, kind) in zip(sheets, try tier.read(sheets)) {
        #expect(kind == (sheet.name.identity == identity ? .missing : .done))
      }
      tier.close(until: Scratch.patience)
    }
  }

  // MARK: Damage

  /// What a survey found; the survey itself has the directory while it lives.
  private struct Found {
    var damages: [String]
    var pageCount: Int
    var checkedCount: Int
    var freedCount: Int
  }

  private static func survey(_ path: String, _ depth: DiskSurvey.Depth) throws -> Found {
    let survey = try DiskSurvey(path, depth)
    try survey.run { _, _ in }
    return Found(
      damages: survey.damages, pageCount: survey.pageCount, checkedCount: survey.checkedCount,
      freedCount: survey.freedCount)
  }

  private static func edit(_ path: String, at offset: Int, _ bytes: [UInt8]) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data(bytes))
    try file.close()
  }

  @Test func verifyNamesWhatIsDamagedAndScrubGivesItBack() throws {
    try Scratch.withDirectory { path in
      let sheets = (0..<25 as Range<UInt64>).map { TierSheet($0, byteCount: 12_288) }
      let tier = try Scratch.open(path)
      _ = try tier.write(sheets)
      tier.close(until: Scratch.patience)
      #expect(try SurveyTests.survey(path, .pages).damages.isEmpty)
      // Slots of 16 KiB behind a front of 8: a byte of the third page, a byte of the fifth header, the second file's front.
      try SurveyTests.edit(path + "/segment-0000", at: 8192 + 2 * 16_384 + 5000, [0xEE, 0xEE])
      try SurveyTests.edit(path + "/segment-0000", at: 8192 + 4 * 16_384 + 60, [0xEE, 0xEE])
      try SurveyTests.edit(path + "/segment-0001", at: 0, [UInt8](repeating: 0xEE, count: 8192))
      try SurveyTests.edit(path + "/store", at: 20, [0xEE, 0xEE])
      let headers = try SurveyTests.survey(path, .headers)
      #expect(headers.pageCount == 24 && headers.damages.count == 3)
      let verified = try SurveyTests.survey(path, .pages)
      let words = [
        "segment-0000, slot 2: the page does not match", "segment-0000, slot 4: the header is torn",
        "segment-0001: its header", "store: missing or damaged",
      ]
      for word in words { #expect(verified.damages.count { $0.hasPrefix(word) } == 1, "\(word)") }
      #expect(verified.damages.count == 4 && verified.pageCount == 23 && verified.checkedCount == 24)
      let scrubbed = try SurveyTests.survey(path, .repairing)
      #expect(scrubbed.freedCount == 2 && scrubbed.damages.count == 4)
      let again = try Scratch.open(path)
      #expect(try again.read(sheets).count { $0 == .done } == 23)
      again.close(until: Scratch.patience)
      // A file that was never cut keeps its damaged front until it is.
      #expect(try SurveyTests.survey(path, .pages).damages.allSatisfy { $0.hasPrefix("segment-0001") })
    }
  }

  @Test func anyDamageIsSurvived() throws {
    var generator = SplitMix64(seed: 21)
    try Scratch.withDirectory { path in
      let sheets = (0..<25 as Range<UInt64>).map { TierSheet($0, byteCount: 9000) }
      for round in 0..<30 {
        let tier = try Scratch.open(path)
        for kind in try tier.write(sheets) { #expect(kind == .done, "round \(round)") }
        tier.close(until: Scratch.patience)
        for name in ["segment-0000", "segment-0001", "store", "snapshot"] {
          let size = try FileManager.default.attributesOfItem(atPath: path + "/" + name)[.size] as? Int ?? 0
          for _ in 0..<Int.random(in: 0...4, using: &generator) {
            let noise = (0..<64).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let granule = Int.random(in: 0..<max(1, min(size, 1 << 18) / 4096), using: &generator)
            try SurveyTests.edit(
              path + "/" + name, at: granule * 4096 + Int.random(in: 0..<200, using: &generator), noise)
          }
        }
        if round % 5 == 0 { truncate(path + "/segment-0000", Int.random(in: 0..<(1 << 20), using: &generator)) }
        _ = try SurveyTests.survey(path, .headers)
        _ = try SurveyTests.survey(path, .pages)
        _ = try SurveyTests.survey(path, .repairing)
        // What is wrong with whole files stays for the tier to mend; every page that is left is good.
        let after = try SurveyTests.survey(path, .pages)
        #expect(after.damages.allSatisfy { !$0.contains("slot") }, "round \(round): \(after.damages)")
      }
    }
  }
}
