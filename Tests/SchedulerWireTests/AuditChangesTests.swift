import JSONText
import SchedulerWire
import Testing

@Suite("What an entry of the audit log changed") struct AuditChangesTests {
    private func text(_ before: String?, _ after: String?) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.changes(
                AuditChanges.between(before.map { Array($0.utf8) }, after.map { Array($0.utf8) }),
                longest: AuditChanges.longest)
        }
        return writer.text
    }

    @Test(arguments: [
        (#"{"a":1,"version":1}"#, #"{"a":2,"version":2}"#, #"{"changes":[{"pointer":"/a","from":1,"to":2}]}"#),
        (#"{"a":1}"#, #"{"a":1,"b":[]}"#, #"{"changes":[{"pointer":"/b","from":null,"to":[]}]}"#),
        (#"{"a":1,"b":"x"}"#, #"{"a":1}"#, #"{"changes":[{"pointer":"/b","from":"x","to":null}]}"#),
        (#"{"a":1}"#, "no JSON", #"{"changes":[]}"#),
    ])
    func names(before: String, after: String, expected: String) { #expect(text(before, after) == expected) }

    @Test func aCreationChangesNothing() { #expect(text(nil, #"{"a":1}"#) == #"{"changes":[]}"#) }

    @Test func longValuesAreToldByTheirLength() {
        let long = "\"" + String(repeating: "x", count: 2000) + "\""
        #expect(text(#"{"a":1}"#, #"{"a":\#(long)}"#) == #"{"changes":[{"pointer":"/a","from":1,"to_bytes":2002}]}"#)
    }
}
