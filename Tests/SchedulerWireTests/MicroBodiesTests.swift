import JSONText
import SchedulerWire
import Testing

/// The bodies' members and types are those of nats-py 2.16; `description` and `last_error` are always strings, as the
/// schemas of nats-io/jsm.go require.
@Suite("Discovery as NATS micro-services")
struct MicroBodiesTests {
    private let service = MicroService(
        name: "carillon", id: "i1", version: "1.2.3", description: "Schedules.", metadata: ["b": "2", "a": "1"]
    )
    private let endpoint = MicroEndpoint(name: "create", subject: "scheduler.cmd.*.schedule.create", queueGroup: "q")

    @Test("PING and INFO name the service and its endpoints")
    func writesIdentity() {
        var writer = JSONWriter()
        service.writePing(into: &writer)
        let identity = #""name":"carillon","id":"i1","version":"1.2.3","metadata":{"a":"1","b":"2"}"#
        #expect(writer.text == #"{"type":"io.nats.micro.v1.ping_response","# + identity + "}")
        writer.reset()
        service.writeInfo([endpoint], into: &writer)
        #expect(
            writer.text == #"{"type":"io.nats.micro.v1.info_response","# + identity + """
                ,"description":"Schedules.","endpoints":[{"name":"create",\
                "subject":"scheduler.cmd.*.schedule.create","queue_group":"q","metadata":{}}]}
                """)
    }

    @Test("Statistics count what was asked, what failed and how long it took")
    func writesStats() throws {
        var stats = MicroEndpointStats()
        stats.record(nanoseconds: 100)
        stats.record(nanoseconds: 301, error: WireError(.scheduleNotFound, "no such schedule"))
        var writer = JSONWriter()
        service.writeStats([(endpoint, stats), (endpoint, MicroEndpointStats())], started: "T", into: &writer)
        let body = try JSONValue.parse(writer.bytes)
        #expect(body["type"]?.string == "io.nats.micro.v1.stats_response")
        #expect(body["started"]?.string == "T")
        let texts = body["endpoints"]?.elements.map { String(decoding: $0.bytes, as: UTF8.self) }
        let identity = #"{"name":"create","subject":"scheduler.cmd.*.schedule.create","queue_group":"q","#
        #expect(
            texts == [
                identity + #""num_requests":2,"num_errors":1,"last_error":"404:no such schedule","#
                    + #""processing_time":401,"average_processing_time":200,"data":{}}"#,
                identity + #""num_requests":0,"num_errors":0,"last_error":"","#
                    + #""processing_time":0,"average_processing_time":0,"data":{}}"#,
            ])
    }

    @Test("Discovery is asked of all, of the name and of the instance")
    func listsSubjects() {
        #expect(service.subjects(.stats) == ["$SRV.STATS", "$SRV.STATS.carillon", "$SRV.STATS.carillon.i1"])
        #expect(Set(MicroVerb.allCases.flatMap { service.subjects($0, prefix: "x") }).count == 9)
    }
}
