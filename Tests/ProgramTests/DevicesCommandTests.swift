import RoostConsole
import Testing

/// `roost devices`: what scripts read.
@Suite struct DevicesCommandTests {
  @Test func everyBuiltInVendorHasAnEntryAndWhatIsMissingAReason() throws {
    let outcome = try RoostProgram.run("devices", "--json", "--measure")
    #expect(outcome.status == 0)
    let devices = try #require(try outcome.json().members?.first?.value.elements)
    var schemes: Set<Substring> = []
    for device in devices {
      let fields = device.members ?? []
      func value(_ name: String) -> JSONValue? { fields.first { $0.name == name }?.value }
      let uri = try #require(value("uri")?.text)
      let reason = try #require(value("reason")?.text)
      schemes.insert(uri.split(separator: ":")[0])
      #expect(value("available")?.bool == reason.isEmpty, "\(uri)")
      #expect(value("vendor")?.text?.isEmpty == false, "\(uri)")
      if reason.isEmpty { #expect(value("load_bytes_per_second")?.double ?? 0 > 0, "\(uri) was not measured") }
    }
    #expect(schemes.isSuperset(of: ["cpu", "cuda", "musa", "hip", "ascend", "kunlun"]), "\(schemes)")
  }

  @Test func theTableNamesTheProcessor() throws {
    let outcome = try RoostProgram.run("devices")
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("cpu:0"))
  }
}
