import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import SchedulerWire
import ServiceLifecycle
import Synchronization

extension HTTPResponder {
    /// Tells a client the events until it goes, or the service does.
    ///
    /// Each write has a time: who does not take what is written is cut off, and goes on with the last id it has read when
    /// it comes back. Nothing waits for it here meanwhile but one event and half a batch.
    func follow(
        _ query: EventQuery, _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        guard followers.wrappingAdd(1, ordering: .relaxed).newValue <= limits.followers else {
            followers.wrappingSubtract(1, ordering: .relaxed)
            let full = WireError(.rateLimited, "as many clients as are taken follow the events already; ask again")
            return try await write(HTTPReply(full), to: request, writer, channel)
        }
        defer { followers.wrappingSubtract(1, ordering: .relaxed) }
        let following: HTTPBackend.Following
        do { following = try await backend.events(query) } catch {
            // A server that cannot be asked is told by a status; later it could be told by words only.
            let failure = error as? WireError ?? WireError(.natsUnavailable, "NATS does not answer")
            return try await write(HTTPReply(failure), to: request, writer, channel)
        }
        var client = Follower(
            writer: try await writer.writeHead(Self.eventsHead), channel: channel, limits: limits)
        let isGone = Gone()
        do {
            try await request.body.consumeWithInboundCloseHandler { _ in
                try await client.follow(following, isGone)
            } onInboundClosed: {
                isGone.set()
            }
        } catch let gone as ClientGone {
            if gone.isSlow {
                logger.info("a client that follows the events was cut off: it did not take them in time")
            }
            channel.close(mode: .all, promise: nil)
        }
    }

    private static var eventsHead: HTTPResponse {
        HTTPResponse(
            status: .ok,
            headerFields: [
                .contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
                .connection: "close",
            ])
    }
}

/// What is written cannot be taken any more.
private struct ClientGone: Error {
    let isSlow: Bool
}

/// Set once, from any thread.
private final class Gone: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .relaxed) }

    func set() { flag.store(true, ordering: .relaxed) }
}

/// Closes a channel whose client does not take what is written. One look now and then for all writes: a timer for each
/// would cost more than the write.
private final class WriteWatch: Sendable {
    private let limit: Int64
    /// When the write under way began, in nanoseconds; 0 for none.
    private let since = Atomic<UInt64>(0)
    private let hasCut = Atomic(false)

    init(_ limit: Duration) { self.limit = TimeAmount(limit).nanoseconds }

    var isSlow: Bool { hasCut.load(ordering: .relaxed) }

    func begin() { since.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }
    func end() { since.store(0, ordering: .relaxed) }

    /// To be cancelled when the client has gone.
    func start(_ channel: any Channel) -> RepeatedTask {
        let round = TimeAmount.nanoseconds(limit / 4)
        return channel.eventLoop.scheduleRepeatedTask(initialDelay: round, delay: round) { [self] _ in
            let begun = since.load(ordering: .relaxed)
            guard begun > 0, NIODeadline.now().uptimeNanoseconds > begun + UInt64(limit) else { return }
            hasCut.store(true, ordering: .relaxed)
            channel.close(mode: .all, promise: nil)
        }
    }
}

/// One client that follows the events.
private struct Follower<Writer: ResponseBodyWriter> {
    private struct Stopping: Error {}

    var writer: Writer
    let channel: any Channel
    let limits: HTTPLimits
    private let watch: WriteWatch
    /// When something was written last.
    private var told = ContinuousClock.now

    init(writer: Writer, channel: any Channel, limits: HTTPLimits) {
        self.writer = writer
        self.channel = channel
        self.limits = limits
        watch = WriteWatch(limits.write)
    }

    mutating func follow(_ following: HTTPBackend.Following, _ gone: Gone) async throws {
        let watching = watch.start(channel)
        defer { watching.cancel() }
        try await send(ServerSentEvents.beginning)
        let reason: String
        do {
            try await following { item in
                if gone.isSet || !channel.isActive { throw ClientGone(isSlow: watch.isSlow) }
                if Task.isShuttingDownGracefully || Task.isCancelled { throw Stopping() }
                switch item {
                case .event(let sequence, let body):
                    try await send(ServerSentEvents.event(sequence: sequence, body: body))
                case .gap(let next): try await send(ServerSentEvents.gap(next: next))
                case .tick where .now - told > limits.keepAlive: try await send(ServerSentEvents.keepAlive)
                case .tick: break
                }
            }
            reason = "the events ended"
        } catch let gone as ClientGone {
            throw gone
        } catch is Stopping {
            reason = "the instance is stopping"
        } catch {
            reason = "the events cannot be read at present"
        }
        try await send(ServerSentEvents.end(reason))
        try await writer.finish(nil)
    }

    private mutating func send(_ text: [UInt8]) async throws {
        watch.begin()
        defer { watch.end() }
        do { try await writer.write(ByteBuffer(bytes: text)) } catch { throw ClientGone(isSlow: watch.isSlow) }
        told = .now
    }
}
