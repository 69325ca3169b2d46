import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import SchedulerCore
import SchedulerWire
import Synchronization

/// Answers requests: finds out what is asked and by whom, reads the body, and writes the reply.
///
/// In this order, so that a stranger costs next to nothing: the path, the token, the size that the request announces, and
/// only then its body.
final class HTTPResponder: Sendable {
    /// What a request comes to.
    enum Asked {
        case reply(HTTPReply)
        case health
        case metrics
        case events(EventQuery)
        case command(AskedCommand)
    }

    let settings: HTTPService.Settings
    let backend: HTTPBackend
    let tokens: TokenBoard
    let logger: Logger
    let commands = Atomic(0)
    let followers = Atomic(0)

    var limits: HTTPLimits { settings.limits }

    init(_ settings: HTTPService.Settings, backend: HTTPBackend, tokens: TokenBoard, logger: Logger) {
        self.settings = settings
        self.backend = backend
        self.tokens = tokens
        self.logger = logger
    }

    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let reading = channel.closing(in: limits.request)
        defer { reading.cancel() }
        var reply: HTTPReply
        switch asked(request) {
        case .reply(let found): reply = found
        case .health: reply = await health(request)
        case .metrics:
            reply = HTTPReply(200, await backend.metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        case .events(let query):
            reading.cancel()
            guard request.method == .get else {
                reply = HTTPReply(200, type: "text/event-stream")
                break
            }
            return try await follow(query, request, writer, channel)
        case .command(let command):
            if command.takesBody, request.headers[.expect]?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            reply = try await carryOut(command, request, channel, until: reading)
        }
        reading.cancel()
        try await write(reply, to: request, writer, channel)
    }

    func write(
        _ reply: HTTPReply, to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        var reply = reply
        if let id = request.requestID { reply.headers[.xRequestID] = id }
        let writing = channel.closing(in: limits.write)
        defer { writing.cancel() }
        if request.method == .head || reply.body.isEmpty {
            try await writer.writeResponse(reply.head)
        } else {
            try await writer.write(
                response: reply.head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body)))
        }
        if reply.closes { _ = channel.closing(in: limits.lingering) }
    }

    // MARK: - What is asked

    private func asked(_ request: Request) -> Asked {
        do throws(WireError) {
            return try find(request)
        } catch {
            var reply = HTTPReply(error)
            reply.closes = request.announcesMore(than: 65_536)
            return .reply(reply)
        }
    }

    private func find(_ request: Request) throws(WireError) -> Asked {
        let path = request.head.path ?? ""
        if request.method == .options, path == "*" { return .reply(allowed([.get, .post, .put, .patch, .delete])) }
        let target = try RequestTarget(path)
        switch target.segments {
        case ["live"]: return try looking(request) { .reply(HTTPReply(200, Array(#"{"status":"live"}"#.utf8))) }
        case ["ready"]: return try looking(request) { .reply(readiness()) }
        case ["health"]: return try looking(request) { .reply(health()) }
        case ["metrics"]: return try looking(request) { .metrics }
        case ["health", "detailed"]:
            _ = try access(request)
            return try looking(request) { .health }
        default: return try find(target, request)
        }
    }

    /// What answers to GET and HEAD only.
    private func looking(_ request: Request, _ found: () -> Asked) throws(WireError) -> Asked {
        switch request.method {
        case .get, .head: return found()
        case .options: return .reply(allowed([.get]))
        default: return .reply(wrongMethod([.get]))
        }
    }

    private func find(_ target: RequestTarget, _ request: Request) throws(WireError) -> Asked {
        switch RouteTable.match(request.method.rawValue, target.segments) {
        case .unknown:
            throw WireError(.unknownCommand, "there is nothing at this path; docs/http.md lists what there is")
        case .wrongMethod(let methods):
            return .reply(request.method == .options ? allowed(methods) : wrongMethod(methods))
        case .found(let route, let value):
            if route.target == .document { return .reply(document()) }
            let access = try access(request)
            if route.target == .events {
                let query = try EventQuery(
                    target, access: access, namespace: request.headers[.schedulerNamespace],
                    last: request.headers[.lastEventID])
                return .events(query)
            }
            guard let page = route.page else { throw WireError(.unknownCommand, "there is nothing at this path") }
            return try command(page, route, value, target, access, request)
        }
    }

    private func command(
        _ page: CommandPage, _ route: Route, _ value: String, _ target: RequestTarget, _ access: Access,
        _ request: Request
    ) throws(WireError) -> Asked {
        do throws(WireError) {
            try access.expect(page)
            let isAdministration = page.kind == .administration
            return .command(
                AskedCommand(
                    route: route, page: page, value: value, query: target.query, access: access,
                    namespace: isAdministration
                        ? nil : try access.namespace(named: request.headers[.schedulerNamespace])))
        } catch {
            var reply = HTTPReply(error, of: page)
            reply.closes = request.announcesMore(than: 65_536)
            return .reply(reply)
        }
    }

    private func allowed(_ methods: [Route.Method]) -> HTTPReply {
        var reply = HTTPReply(204)
        reply.headers[.allow] = Self.list(methods)
        return reply
    }

    private func wrongMethod(_ methods: [Route.Method]) -> HTTPReply {
        var reply = HTTPReply(WireError(.methodNotAllowed, "expected one of \(Self.list(methods)) at this path"))
        reply.headers[.allow] = Self.list(methods)
        return reply
    }

    private static func list(_ methods: [Route.Method]) -> String {
        let names = methods.map(\.rawValue)
        let all = names.contains("GET") ? names + ["HEAD"] : names
        return Set(all + ["OPTIONS"]).sorted().joined(separator: ", ")
    }

    private func document() -> HTTPReply { HTTPReply(200, OpenAPIDocument.bytes) }

    // MARK: - Who asks

    /// Who asks.
    /// - Throws: `unauthenticated`. Without tokens: `notPermitted` to a page that a browser shows, which reaches this
    ///   machine's own address by its user's hand (a foreign `Origin`), or by a name that was made to lead here.
    private func access(_ request: Request) throws(WireError) -> Access {
        let access = try tokens.access(authorization: request.headers[.authorization])
        guard tokens.isOpen else { return access }
        let host = request.head.authority ?? ""
        guard host.isEmpty || Loopback.isLoopback(authority: host) else {
            throw WireError(.notPermitted, "without tokens only 127.0.0.1, [::1] and localhost are answered")
        }
        if let origin = request.headers[.origin], origin != "http://\(host)" {
            throw WireError(.notPermitted, "without tokens no page of another origin is answered")
        }
        return access
    }
}

/// A command that is asked for, before its body is read.
struct AskedCommand: Sendable {
    let route: Route
    let page: CommandPage
    /// Of the path.
    let value: String
    let query: [RequestTarget.Item]
    let access: Access
    let namespace: Namespace?

    var takesBody: Bool { route.method != .get }
}

/// This machine's own addresses.
package enum Loopback {
    package static func isLoopback(host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// - Parameter authority: as a request's `Host` has it, perhaps with a port.
    static func isLoopback(authority: String) -> Bool {
        if authority.hasPrefix("[") { return isLoopback(host: String(authority.dropFirst().prefix { $0 != "]" })) }
        return isLoopback(host: String(authority.prefix { $0 != ":" }).lowercased())
    }
}

extension HTTPField.Name {
    static var schedulerNamespace: HTTPField.Name { name("Scheduler-Namespace") }
    static var xRequestID: HTTPField.Name { name("X-Request-Id") }
    static var idempotencyKey: HTTPField.Name { name("Idempotency-Key") }
    static var lastEventID: HTTPField.Name { name("Last-Event-ID") }
    static var traceparent: HTTPField.Name { name("traceparent") }
    static var tracestate: HTTPField.Name { name("tracestate") }

    /// Of our own names, which are well formed; another header stands in for one that is not.
    private static func name(_ text: String) -> HTTPField.Name { HTTPField.Name(text) ?? .xContentTypeOptions }
}

extension Request {
    /// Whether its body is announced as longer than that, or with no length at all.
    func announcesMore(than bytes: Int) -> Bool {
        if let length = headers[.contentLength] { return (Int(length) ?? Int.max) > bytes }
        return headers[.transferEncoding] != nil
    }
}

extension Channel {
    /// Closes the channel after a while, unless that is cancelled.
    func closing(in time: Duration) -> Scheduled<Void> {
        eventLoop.scheduleTask(in: TimeAmount(time)) { self.close(mode: .all, promise: nil) }
    }
}
