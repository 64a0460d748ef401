import RoostPrimitives
import Testing

@testable import RoostReplay

@Suite struct PageGeometryTests {
  private func failure(_ text: String) -> String? {
    do throws(RoostError) {
      _ = try ModelGeometry(parsing: text)
      return nil
    } catch {
      return error.code == .invalidInput ? error.message : "another code"
    }
  }

  /// Bytes a token: 2 (K and V) x layers x heads x head dimension x 2 bytes, from the models' papers.
  @Test(arguments: [
    ("llama-3.1-8b", 131_072), ("Llama-3.3-70B", 327_680), ("qwen3-32b", 262_144), ("qwen3-30b-a3b", 98_304),
    ("deepseek-v3", 70_272),
  ])
  func knowsWhatAModelKeepsForAToken(name: String, bytes: Int) throws {
    let model = try ModelGeometry(parsing: name)
    #expect(model.bytesPerToken == bytes)
    #expect(PageGeometry(full: model).byteCount == 512 * bytes)
  }

  @Test func aLlamaBlockOf512TokensHas64MebibytesInPiecesOf64KiB() throws {
    let page = PageGeometry(full: try ModelGeometry(parsing: "llama-3.1-8b"))
    #expect(page.byteCount == 64 << 20 && page.pieceByteCount == 64 << 10 && page.pieceCount == 1024)
    #expect(page.isFull)
  }

  @Test(arguments: [
    ("llama-3.1-8b", 256 << 10, "4 of 32 layers x 64 KiB (8 heads x 16 tokens)", 256 << 10),
    ("llama-3.1-8b", 4 << 20, "32 layers x 2 kernel blocks x 64 KiB (8 heads x 16 tokens)", 4 << 20),
    ("llama-3.1-8b", 1 << 40, "32 layers x 32 kernel blocks x 64 KiB (8 heads x 16 tokens)", 64 << 20),
    ("llama-3.1-8b", 300_000, "4 of 32 layers x 64 KiB (8 heads x 16 tokens)", 256 << 10),
    ("llama-3.1-8b", 65_535, "1 of 32 layers x 60 KiB (8 heads x 15 tokens)", 60 << 10),
    ("llama-3.1-8b", 1_024, "1 of 32 layers x 1 KiB (2 heads x 1 tokens)", 1_024),
    ("deepseek-v3", 256 << 10, "14 of 61 layers x 18 KiB (1 head x 16 tokens)", 252 << 10),
  ])
  func scalingKeepsThePiecesAndTakesFewer(name: String, wanted: Int, summary: String, bytes: Int) throws {
    let page = try PageGeometry(scaling: try ModelGeometry(parsing: name), to: wanted)
    #expect(page.summary == summary)
    #expect(page.byteCount == bytes)
  }

  @Test func aScaledPageIsNeverLargerThanAskedForAndNeverEmpty() throws {
    let seed: UInt64 = 12
    var random = SplitMix64(seed: seed)
    for model in ModelGeometry.known {
      for _ in 0..<300 {
        let wanted = 4096 << Int.random(in: 0...16, using: &random) | Int.random(in: 0..<4096, using: &random)
        let page = try PageGeometry(scaling: model, to: wanted)
        let isFitting = page.byteCount > 0 && page.byteCount <= wanted
        if !isFitting || page.byteCount * 2 <= min(wanted, PageGeometry(full: model).byteCount) {
          Issue.record("seed \(seed): \(wanted) bytes of \(model.name) became \(page.byteCount)")
        }
      }
      #expect(throws: RoostError.self) { try PageGeometry(scaling: model, to: model.contentByteCount - 1) }
    }
  }

  @Test func takesAnExplicitDescription() throws {
    let model = try ModelGeometry(parsing: "layers=4,heads=2,head-dim=64,dtype=fp8,tokens=32")
    #expect(model.bytesPerToken == 4 * 2 * 2 * 64 && model.tokenCount == 32)
    #expect(PageGeometry(full: model).kernelBlockCount == 2)
    let latent = try ModelGeometry(parsing: "layers=61,latent=576")
    #expect(latent.bytesPerToken == 70_272 && latent.tokenCount == 512)
    #expect(
      PageGeometry(full: try ModelGeometry(parsing: "layers=1,heads=1,head-dim=8,tokens=4")).kernelTokenCount == 4)
  }

  @Test(arguments: [
    ("llama", "means more than one model"), ("lama-3.1-8b", "did you mean 'llama-3.1-8b'?"),
    ("", "is not a known model"),
    ("layers=1", "head-dim is missing"), ("layers=0,heads=1,head-dim=8", "from 1 to 1024, not '0'"),
    ("layers=1,head=1,head-dim=8", "did you mean 'heads'?"),
    ("layers=1,heads=1,head-dim=8,tokens=17", "multiple of 16"),
    ("layers=1,heads=1,head-dim=8,dtype=int3", "there is no dtype 'int3'"), ("layers=1,layers=2", "given twice"),
    ("layers=1,latent=5,dtype=packed4bit", "whole bytes"), ("layers=1,latent=5,heads=2", "has no heads"),
    ("layers=1,heads=99999999999999999999,head-dim=1", "from 1 to 1024"),
  ])
  func saysWhatIsWrongWithADescription(text: String, expected: String) throws {
    let message = try #require(failure(text))
    #expect(message.contains(expected), "\(message)")
  }
}
