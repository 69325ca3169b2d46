import JSONText
import SchedulerCore
import SchedulerWire
import Testing

@testable import SchedulerHTTP

@Suite("Paths and what they stand for")
struct RouteTests {
    /// What a method and a path come to, in words.
    private func match(_ method: String, _ path: String) throws -> String {
        let target = try RequestTarget(path)
        switch RouteTable.match(method, target.segments) {
        case .unknown: return "404"
        case .wrongMethod(let methods): return "405 " + methods.map(\.rawValue).sorted().joined(separator: ",")
        case .found(let route, let value):
            guard case .command(let name) = route.target else { return "\(route.target)" }
            return value.isEmpty ? name : "\(name) \(value)"
        }
    }

    @Test(arguments: [
        ("POST", "/api/v1/schedules", "schedule.create"), ("GET", "/api/v1/schedules?limit=3", "schedule.list"),
        ("HEAD", "/api/v1/schedules/a", "schedule.get a"), ("PUT", "/api/v1/schedules/a", "schedule.put a"),
        ("PATCH", "/api/v1/schedules/a", "schedule.update a"), ("DELETE", "/api/v1/schedules/a", "schedule.delete a"),
        ("POST", "/api/v1/schedules/a/trigger", "schedule.trigger a"),
        ("POST", "/api/v1/schedules/bulk/create", "schedule.bulk_create"),
        ("POST", "/api/v1/schedules/bulk/pause", "schedule.pause bulk"),
        ("POST", "/api/v1/schedules/bulk/operation", "schedule.bulk"),
        ("GET", "/api/v1/schedules/a/executions", "execution.list a"),
        ("GET", "/api/v1/executions/running", "execution.list"), ("GET", "/api/v1/executions/x", "execution.get x"),
        ("GET", "/api/v1/executions/stats/x", "execution.stats x"), ("GET", "/api/v1/events", "events"),
        ("GET", "/api/v1/forecast", "schedule.forecast"),
        ("GET", "/api/v1/schedules/forecast", "schedule.get forecast"),
        ("GET", "/api/v1/schedules/a/timeline", "schedule.timeline a"),
        ("GET", "/api/v1/admin/system/forecast", "admin.system.forecast"),
        ("GET", "/api/v1/admin/system/status", "admin.system.status"),
        ("POST", "/api/v1/admin/target/allow", "admin.target.allow"),
        ("POST", "/api/v1/admin/system/verify", "admin.system.verify"),
        ("GET", "/api/v1/schedules/a%2Fb", "schedule.get a/b"),
        ("GET", "/api/v1/schedules/validate", "405 POST"), ("BREW", "/api/v1/targets", "405 GET"),
        ("POST", "/api/v1/executions/x", "405 GET"), ("GET", "/api/v1/schedules/", "404"),
        ("GET", "/api/v1/nothing", "404"), ("GET", "/", "404"), ("GET", "/api/v1/schedules/a/b/c", "404"),
    ])
    func finds(_ method: String, _ path: String, expected: String) throws {
        #expect(try match(method, path) == expected)
    }

    @Test("Each command has a route, and no two routes are the same")
    func isWhole() {
        let commands = Set(RouteTable.all.compactMap { $0.page?.name })
        #expect(commands == Set(CommandCatalogue.all.map(\.name)))
        #expect(Set(RouteTable.all.map { "\($0.method) \($0.path)" }).count == RouteTable.all.count)
        #expect(RouteTable.all.allSatisfy { $0.page?.isChanging != true || $0.method != .get })
    }

    @Test("The OpenAPI document has the same paths, methods and commands")
    func documentAgrees() throws {
        let paths = try #require(try JSONValue.parse(OpenAPIDocument.bytes)["paths"])
        var described: Set<String> = []
        for path in paths.members where path.name.hasPrefix("/api/") {
            for operation in path.value.members {
                let command = operation.value["x-command"]?.string ?? "-"
                described.insert("\(operation.name.uppercased()) \(path.name) \(command)")
            }
        }
        #expect(
            described
                == Set(RouteTable.all.map { "\($0.method.rawValue) \($0.path) \($0.page?.name ?? "-")" }))
    }

    @Test("What the document says is a number in a query, is read as one")
    func documentTypesAgree() throws {
        let paths = try #require(try JSONValue.parse(OpenAPIDocument.bytes)["paths"])
        for operation in paths.members.flatMap({ Array($0.value.members) }) where operation.value["x-command"] != nil {
            for parameter in operation.value["parameters"].map({ Array($0.elements) }) ?? [] {
                guard parameter["in"]?.string == "query", let name = parameter["name"]?.string,
                    let type = parameter["schema"]?["type"]?.string, type == "integer" || type == "boolean"
                else { continue }
                var body = CommandBody()
                body.add(query: [RequestTarget.Item(name: name, value: type == "integer" ? "7" : "true")])
                let text = String(decoding: try body.merged(with: [], limits: JSONLimits()), as: UTF8.self)
                #expect(text == #"{"\#(name)":\#(type == "integer" ? "7" : "true")}"#)
            }
        }
    }

    @Test(arguments: [
        ("/a%", ErrorCode.badSubject), ("/a%zz", .badSubject), ("/%ff", .badSubject), ("x", .badSubject),
        ("http://elsewhere/api", .badSubject), ("", .badSubject),
        ("/" + String(repeating: "a", count: 9000), .requestTooLarge),
    ])
    func refuses(_ path: String, code: ErrorCode) {
        let error = #expect(throws: WireError.self) { try RequestTarget(path) }
        #expect(error?.code == code)
    }

    @Test func queriesAreDecoded() throws {
        let target = try RequestTarget("/a?x=1+2&y=%C3%A9&z&x=3&=4")
        #expect(target.query.map { "\($0.name)=\($0.value)" } == ["x=1 2", "y=é", "z=", "x=3", "=4"])
    }
}

@Suite("One body of path, query and body")
struct CommandBodyTests {
    private func merged(
        path: String? = nil, at place: Route.Place = .reference(prefix: ""), query: String = "", _ body: String = "",
        otherwise: [(name: String, value: String)] = []
    ) throws -> String {
        var made = CommandBody()
        if let path { made.add(path: path, at: place) }
        made.add(query: try RequestTarget("/?\(query)").query)
        let bytes = try made.merged(with: Array(body.utf8), limits: JSONLimits(maxDepth: 8), otherwise: otherwise)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let id = "01a1fd73-4b71-7e15-b464-f0143fffdf21"

    @Test func putsTogether() throws {
        #expect(try merged() == "")
        #expect(try merged(path: "a", "") == #"{"name":"a"}"#)
        #expect(try merged(path: Self.id) == #"{"id":"\#(Self.id)"}"#)
        #expect(try merged(path: "a", at: .reference(prefix: "schedule_")) == #"{"schedule_name":"a"}"#)
        #expect(try merged(path: "a", at: .member("id"), "null") == #"{"id":"a"}"#)
        #expect(try merged(query: "limit=5&full=true&cursor=12") == #"{"limit":5,"full":true,"cursor":"12"}"#)
        #expect(try merged(query: "limit=5x&full=yes") == #"{"limit":"5x","full":"yes"}"#)
        #expect(try merged(query: "tag=a&tag=b") == #"{"tag":["a","b"]}"#)
        #expect(try merged(path: "a", #"{"name":"a","name2":1}"#) == #"{"name":"a","name2":1}"#)
        #expect(try merged(path: "a", #"{"n\u0061me":"\u0061"}"#) == #"{"name":"a"}"#)
    }

    @Test("A payload stays as it was written, byte by byte")
    func keepsBytes() throws {
        let payload = #"{ "b":1.50e0,  "a":"\u00e9" }"#
        #expect(try merged(path: "a", #"{"payload": \#(payload)}"#) == #"{"name":"a","payload":\#(payload)}"#)
        #expect(try merged(#"  {"payload": \#(payload)}"#) == #"  {"payload": \#(payload)}"#)
    }

    @Test("What nobody says has its default, what somebody says stays")
    func hasDefaults() throws {
        let defaults = [(name: "request_id", value: "r"), (name: "actor", value: "t")]
        #expect(try merged(#"{"actor":"x"}"#, otherwise: defaults) == #"{"request_id":"r","actor":"x"}"#)
        #expect(try merged("", otherwise: defaults) == #"{"request_id":"r","actor":"t"}"#)
        // What is no object the command itself refuses.
        #expect(try merged(path: "a", "[1]", otherwise: defaults) == "[1]")
    }

    @Test(arguments: [
        ("a", "", #"{"name":"b"}"#, "10427 /name"), ("a", "name=b", "", "10427 /name"),
        (nil, "limit=1&limit=2", "", "10427 /limit"), ("a", "", #"{"name":7}"#, "10427 /name"),
        (nil, "", "{", "10400 "), (nil, "", #"[[[[[[[[[[]]]]]]]]]]"#, "10402 /0/0/0/0/0/0/0/0"),
    ])
    func refuses(path: String?, query: String, body: String, expected: String) throws {
        let error = try #require(throws: WireError.self) { try merged(path: path, query: query, body) }
        #expect("\(error.code.errCode) \(error.details.first?.pointer.description ?? "")" == expected)
    }
}

@Suite("Who may do what")
struct AccessTests {
    private let board: TokenBoard

    init() throws {
        let one = Access(name: "a", namespaces: [try Namespace("billing")], isReadOnly: true)
        board = TokenBoard(
            TokenTable(entries: [
                .init(digest: Digest.sha256("one".utf8), access: one),
                .init(digest: Digest.sha256("two".utf8), access: Access(name: "b", namespaces: nil)),
            ]))
    }

    @Test(arguments: [
        (nil, nil), ("", nil), ("one", nil), ("Basic one", nil), ("Bearer", nil), ("Bearer three", nil),
        ("Bearer one", "a"), ("bearer two", "b"), ("Bearer one ", nil),
    ])
    func letsIn(_ header: String?, name: String?) {
        let access = try? board.access(authorization: header)
        #expect(access?.name == name)
    }

    @Test("A refusal does not repeat what was sent")
    func keepsSecrets() throws {
        let error = try #require(throws: WireError.self) { try board.access(authorization: "Bearer s3cret") }
        #expect(!"\(error)".contains("s3cret") && error.code == .unauthenticated)
    }

    @Test func bindsToNamespaces() throws {
        let one = try board.access(authorization: "Bearer one")
        #expect(try one.namespace(named: nil).description == "billing")
        #expect(try one.namespace(named: "billing").description == "billing")
        #expect(throws: WireError.self) { try one.namespace(named: "other") }
        let all = try board.access(authorization: "Bearer two")
        #expect(try all.namespace(named: "other").description == "other")
        for name in [nil, "", "_system", "a.b", "*"] {
            #expect(throws: WireError.self) { try all.namespace(named: name) }
        }
    }

    @Test func readersAndAdministrators() throws {
        let get = try #require(CommandCatalogue.page("schedule.get"))
        let pause = try #require(CommandCatalogue.page("schedule.pause"))
        let status = try #require(CommandCatalogue.page("admin.system.status"))
        let one = try board.access(authorization: "Bearer one")
        let two = try board.access(authorization: "Bearer two")
        try one.expect(get)
        #expect(throws: WireError.self) { try one.expect(pause) }
        try two.expect(pause)
        #expect(throws: WireError.self) { try two.expect(status) }
        try Access.everything.expect(status)
    }
}

@Suite("Which events somebody sees")
struct EventQueryTests {
    private func query(_ text: String, _ namespaces: [String]? = nil, last: String? = nil) throws -> EventQuery {
        let bound = try namespaces.map { Set(try $0.map { try Namespace($0) }) }
        return try EventQuery(
            try RequestTarget("/api/v1/events?\(text)"), access: Access(name: nil, namespaces: bound), namespace: nil,
            last: last)
    }

    @Test func filtersByTheServerWhereItCan() throws {
        #expect(try query("").filter(prefix: "p") == "p.evt.*.*.*.*")
        #expect(try query("", ["a"]).filter(prefix: "p") == "p.evt.a.*.*.*")
        #expect(try query("event=execution.dead", ["a", "b"]).filter(prefix: "p") == "p.evt.*.execution.dead.*")
        #expect(try query("namespace=b", ["a", "b"]).filter(prefix: "p") == "p.evt.b.*.*.*")
        #expect(try query("last_event_id=7", last: "9").after == 9)
    }

    @Test("Nobody sees another namespace's events, nor the service's own")
    func admitsItsOwn() throws {
        let two = try query("", ["a", "b"])
        #expect(two.admits("p.evt.a.schedule.created.x") && two.admits("p.evt.b.schedule.created.x"))
        #expect(!two.admits("p.evt.c.schedule.created.x") && !two.admits("p.evt._system.system.started.x"))
        #expect(!two.admits("p.evt") && !two.admits("p.evt.ab.schedule.created.a"))
        #expect(try query("").admits("p.evt._system.system.started.x"))
    }

    @Test(arguments: [
        "event=nothing.such", "event=dead", "event=execution.dead.more", "schedule_id=x", "last_event_id=-1",
        "last_event_id=x", "limit=3", "namespace=c",
    ])
    func refuses(_ text: String) {
        #expect(throws: WireError.self) { try query(text, ["a", "b"]) }
    }

    @Test("An event is text that a reader of the standard reads")
    func writesEvents() {
        let text = String(decoding: ServerSentEvents.event(sequence: 7, body: Array("{\"a\":\n1}".utf8)), as: UTF8.self)
        #expect(text == "id: 7\ndata: {\"a\":\ndata: 1}\n\n")
    }
}
