import HTTPTypes
import HummingbirdCore
import JSONText
import NIOCore
import SchedulerCore
import SchedulerWire
import Synchronization

extension HTTPResponder {
    /// Deeper by two than requests are: records of an export stand in a list.
    private static let mostDepth = 34
    /// The longest body of a command but for those of `admin.data`.
    private static let mostBytes = 1 << 20

    func carryOut(
        _ command: AskedCommand, _ request: Request, _ channel: any Channel, until reading: Scheduled<Void>
    ) async throws -> HTTPReply {
        let most = command.page.noun == "data" ? max(Self.mostBytes, backend.mostBytes()) : Self.mostBytes
        guard !command.takesBody || !request.announcesMore(thanLength: most) else {
            return refusal(Self.tooLarge(most), of: command, closes: true)
        }
        guard commands.wrappingAdd(1, ordering: .relaxed).newValue <= limits.commands else {
            commands.wrappingSubtract(1, ordering: .relaxed)
            let busy = WireError(.rateLimited, "as many requests as are taken at once are under way; ask again")
            return refusal(busy, of: command, closes: request.announcesMore(than: 65_536))
        }
        defer { commands.wrappingSubtract(1, ordering: .relaxed) }
        let bytes: [UInt8]
        do throws(Unreadable) {
            bytes = command.takesBody ? try await Self.body(of: request, most: most) : []
        } catch {
            switch error {
            case .tooLarge: return refusal(Self.tooLarge(most), of: command, closes: true)
            case .failed(let error): throw error
            }
        }
        reading.cancel()
        guard !command.takesBody || (channel.isActive && request.isWhole(bytes.count)) else { throw Incomplete() }
        do throws(WireError) {
            if !bytes.isEmpty { try Self.expectJSON(request) }
            let body = try merged(bytes, command, request, most)
            let answer = await backend.command(
                HTTPBackend.Command(
                    page: command.page, namespace: command.namespace, body: body, trace: request.trace))
            return reply(answer, to: command)
        } catch {
            return refusal(error, of: command, closes: false)
        }
    }

    private func refusal(_ error: WireError, of command: AskedCommand, closes: Bool) -> HTTPReply {
        var reply = HTTPReply(error, of: command.page)
        reply.closes = closes
        return reply
    }

    private func reply(_ answer: HTTPBackend.Answer, to command: AskedCommand) -> HTTPReply {
        var reply = HTTPReply(answer.failure?.code.httpStatus ?? 200, answer.body)
        if let failure = answer.failure {
            reply.add(failure)
        } else if command.route.success == 201, let made = try? JSONValue.parse(answer.body),
            made["dry_run"]?.bool != true, let id = made["schedule"]?["id"]?.string
        {
            reply.status = 201
            reply.headers[.location] = "\(command.route.path)/\(id)"
        }
        return reply
    }

    /// The body of the command: what path, query and body say, with the request's id and who asks where the body is silent.
    private func merged(
        _ bytes: [UInt8], _ command: AskedCommand, _ request: Request, _ most: Int
    ) throws(WireError) -> [UInt8] {
        var body = CommandBody()
        if command.route.hasValue { body.add(path: command.value, at: command.route.place) }
        if let fixed = command.route.fixed { body.add(fixed.name, fixed.value) }
        body.add(query: command.query)
        var otherwise: [(name: String, value: String)] = []
        if command.page.isChanging {
            if let id = try request.idempotencyKey() ?? request.requestID { otherwise.append(("request_id", id)) }
            if let name = command.access.name { otherwise.append(("actor", name)) }
        }
        return try body.merged(
            with: bytes, limits: JSONLimits(maxDepth: Self.mostDepth, maxBytes: most), otherwise: otherwise)
    }

    private static func tooLarge(_ most: Int) -> WireError {
        WireError(.requestTooLarge, "expected a body of at most \(most) bytes")
    }

    private static func expectJSON(_ request: Request) throws(WireError) {
        if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw WireError(.unsupportedMediaType, "expected a body without Content-Encoding")
        }
        guard let type = request.headers[.contentType] else { return }
        let parts = type.lowercased().split(separator: ";").map { $0.split(separator: " ").joined() }
        let isJSON = parts.first == "application/json" || parts.first?.hasSuffix("+json") == true
        let isUTF8 = parts.dropFirst().allSatisfy { part in
            !part.hasPrefix("charset=") || part == "charset=utf-8" || part == #"charset="utf-8""#
        }
        guard isJSON, isUTF8 else {
            throw WireError(.unsupportedMediaType, "expected Content-Type: application/json in UTF-8")
        }
    }

    /// The connection ended before the body did: what came of it is no request.
    private struct Incomplete: Error {}

    private enum Unreadable: Error {
        case tooLarge
        case failed(any Error)
    }

    private static func body(of request: Request, most: Int) async throws(Unreadable) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await part in request.body {
                guard bytes.count + part.readableBytes <= most else { throw Unreadable.tooLarge }
                bytes.append(contentsOf: part.readableBytesView)
            }
        } catch let error as Unreadable {
            throw error
        } catch {
            throw .failed(error)
        }
        return bytes
    }
}

extension Request {
    /// Of W3C's fields. One that is broken is none.
    fileprivate var trace: TraceContext? {
        TraceContext(traceparents: headers[values: .traceparent], tracestates: headers[values: .tracestate])
    }

    /// What a proxy may have put there, unless it is of no use as an id.
    var requestID: String? { headers[.xRequestID].flatMap { Self.isID($0) ? $0 : nil } }

    fileprivate func idempotencyKey() throws(WireError) -> String? {
        guard let key = headers[.idempotencyKey] else { return nil }
        guard Self.isID(key) else {
            throw WireError(.invalidValue, "Idempotency-Key: expected 1 to 128 printable ASCII characters")
        }
        return key
    }

    private static func isID(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { 0x21...0x7E ~= $0 }
    }

    /// Whether so many bytes are what was announced. The parser tells a connection that ends too early; this is for what it
    /// may not tell, as the server would take the end of a connection for the end of a body.
    fileprivate func isWhole(_ bytes: Int) -> Bool { headers[.contentLength].map { Int($0) == bytes } ?? true }

    /// Whether its body is announced as longer than that.
    fileprivate func announcesMore(thanLength bytes: Int) -> Bool {
        headers[.contentLength].map { (Int($0) ?? Int.max) > bytes } ?? false
    }
}
