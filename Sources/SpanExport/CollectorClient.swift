import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Sends requests to the collector, one after the other, each on a connection of its own: nothing of one outlasts it.
final class CollectorClient: Sendable {
    private struct State {
        var deadline: NIODeadline?
        var channel: (any Channel)?
    }

    /// What one request takes at most.
    static let patience = TimeAmount.seconds(10)
    private static let connectPatience = TimeAmount.seconds(3)

    private let endpoint: CollectorEndpoint
    private let headers: [(name: String, value: String)]
    private let group: any EventLoopGroup
    private let state = Mutex(State())

    init(
        _ endpoint: CollectorEndpoint, headers: [(name: String, value: String)], group: any EventLoopGroup
    ) {
        self.endpoint = endpoint
        self.headers = headers
        self.group = group
    }

    /// From now on requests have so long, all together; the one that is under way too.
    func end(within limit: TimeAmount) {
        let channel = state.withLock { state in
            state.deadline = .now() + limit
            return state.channel
        }
        channel?.eventLoop.scheduleTask(in: limit) { channel?.close(promise: nil) }
    }

    func post(_ body: [UInt8]) async -> ExportOutcome {
        let deadline = min(.now() + Self.patience, state.withLock { $0.deadline } ?? .distantFuture)
        guard deadline > .now() else { return .unanswered("there was no time left") }
        do {
            let channel = try await ClientBootstrap(group: group)
                .connectTimeout(min(Self.connectPatience, deadline - .now()))
                .connect(host: endpoint.host, port: endpoint.port).get()
            state.withLock { $0.channel = channel }
            defer { state.withLock { $0.channel = nil } }
            // `end(within:)` may have missed it.
            let last = min(deadline, state.withLock { $0.deadline } ?? .distantFuture)
            let timer = channel.eventLoop.scheduleTask(deadline: last) { channel.close(promise: nil) }
            defer { timer.cancel() }
            let request = request(of: body)
            return try await withTaskCancellationHandler {
                try await channel.eventLoop.flatSubmit {
                    let answer = channel.eventLoop.makePromise(of: ExportOutcome.self)
                    do {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(Exchange(request, body, answer))
                    } catch { answer.fail(error) }
                    return answer.futureResult
                }.get()
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            return .unanswered(.now() >= deadline ? "it does not answer in time" : Self.words(for: error))
        }
    }

    private func request(of body: [UInt8]) -> HTTPRequestHead {
        var fields = HTTPHeaders([
            ("Host", endpoint.authority), ("User-Agent", "carillon"), ("Content-Type", "application/json"),
            ("Content-Length", String(body.count)), ("Connection", "close"),
        ])
        for (name, value) in headers { fields.replaceOrAdd(name: name, value: value) }
        return HTTPRequestHead(version: .http1_1, method: .POST, uri: endpoint.path, headers: fields)
    }

    /// Says nothing of what was sent.
    private static func words(for error: any Error) -> String {
        switch error {
        case is Exchange.Closed: "it closes the connection without an answer"
        case is HTTPParserError: "what it answers is no HTTP"
        case ChannelError.connectTimeout: "it cannot be reached in time"
        default: "it cannot be reached"
        }
    }
}

/// One request and its answer.
private final class Exchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// The other side is gone, and has not answered.
    struct Closed: Error {}

    /// Of the answer's body so much is read.
    private static let mostBytes = 65_536

    private let request: HTTPRequestHead
    private let body: [UInt8]
    private var answer: EventLoopPromise<ExportOutcome>?
    private var head: HTTPResponseHead?
    private var received: [UInt8] = []

    init(_ request: HTTPRequestHead, _ body: [UInt8], _ answer: EventLoopPromise<ExportOutcome>) {
        self.request = request
        self.body = body
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard context.channel.isActive else { return finish(.failure(Closed()), context) }
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part): received += part.readableBytesView.prefix(Self.mostBytes - received.count)
        case .end:
            guard let head else { return }
            let outcome = ExportOutcome(
                status: Int(head.status.code), retryAfter: head.headers.first(name: "Retry-After"), body: received)
            finish(.success(outcome), context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish(.failure(error), context) }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(Closed()), context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        answer?.fail(Closed())
        answer = nil
    }

    private func finish(_ result: Result<ExportOutcome, any Error>, _ context: ChannelHandlerContext) {
        guard let answer else { return }
        self.answer = nil
        answer.completeWith(result)
        context.close(promise: nil)
    }
}
