import JSONText
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    @Suite("The system as it stands", .timeLimit(.minutes(1))) struct SystemStatusTests {
        @Test("Targets and the system's status")
        func administration() async throws {
            let fixture = try await SharedSystem.running.fixture
            let targets = try await fixture.done("target.list", "null").items("targets")
            #expect(targets.map { $0["subject"]?.string } == ["demo.>"])
            let status = try #require(try await fixture.statuses().first)
            #expect(status["ready"]?.bool == true && status["reasons"]?.count == 0)
            #expect(status.items("members").first?["partitions"]?.int64 == 256)
            #expect(try await fixture.refused("system.vanish", [], subject: "scheduler.admin.system.vanish") == "10404")
        }
    }
}
