import CNATS
import Synchronization

/// A connection to NATS that never gives up: libnats reconnects a link, this class makes a new link when libnats closed
/// it for good (two authentication errors, an `-ERR` it does not know), with all subscriptions.
///
/// Threads of its own: a supervisor (makes links, flushes, watches the flusher) and a metronome (time-outs). Nothing
/// here blocks Swift's cooperative pool, but `publish` and `subscribe`, which may wait for libnats' lock while a write
/// to a stopped server runs into its deadline: at most ``NATSConfiguration/writeDeadline``.
///
/// Time. libnats measures every time-out with the wall clock. When that is set back by X, its flusher can stand still
/// for X with bytes in its buffer. So the time-outs here are our own, on the monotonic clock, and the supervisor looks
/// at the buffer every 50 ms: one that did not shrink is flushed by hand (a PING, written in place). With `sendAsap`
/// there is no flusher, and no such stall. What remains in libnats' hands are its ping interval and, if the step comes
/// during a blocked write, that write's deadline.
///
/// `close()` must be called: until then the threads hold the object.
package final class NATSConnection: Sendable {
    struct Current {
        var link: Link?
        var epoch = ConnectionEpoch(rawValue: 0)
    }

    package let configuration: NATSConfiguration
    /// Below this nobody else gets inboxes; no trailing dot.
    let inbox: String
    let current = Mutex(Current())
    let supervision: Monitor<Supervision>
    let subscriptions = SubscriptionRegistry()
    let observers = ObserverList()
    let events = EventFanout()
    private let requests: RequestMux
    /// Weakly held by `observers`.
    let flushExpiry: FlushExpiry

    /// Connects, trying again with back-off until it works.
    /// - Parameter limit: when to stop trying and throw the last failure; nil: never.
    /// - Throws: `.invalidConfiguration` at once, else after `limit`.
    package static func connect(
        _ configuration: NATSConfiguration, within limit: Duration? = nil
    ) async throws(NATSError) -> NATSConnection {
        guard !configuration.servers.isEmpty else {
            throw NATSError(.invalidConfiguration, "A connection needs at least one server URL; none was given.")
        }
        // Only for its check; the options of each attempt are its own.
        _ = try LibraryOptions(configuration, identity: 0)
        _ = try Subject(configuration.inboxPrefix)
        let connection = try NATSConnection(configuration)
        let outcome = await connection.start(within: limit)
        if case .failure(let error) = outcome {
            await connection.close()
            throw error
        }
        return connection
    }

    private init(_ configuration: NATSConfiguration) throws(NATSError) {
        self.configuration = configuration
        inbox = configuration.inboxPrefix + "." + UniqueName.make()
        let supervision = Monitor(Supervision())
        self.supervision = supervision
        requests = RequestMux(inbox: inbox)
        flushExpiry = FlushExpiry { NATSConnection.expireFlushes(supervision, $0) }
        observers.add(requests)
        observers.add(flushExpiry)
        let mux = requests
        try subscriptions.add(
            SubscriptionEntry(
                filter: SubjectFilter(mux.filter), queue: nil, pendingLimit: nil, isInternal: true,
                deliver: { mux.receive($0) }))
    }

    // MARK: State

    /// The present epoch. Take it before a publish that `flush(since:)` shall confirm.
    package var epoch: ConnectionEpoch { current.withLock { $0.epoch } }

    /// True while libnats believes it has a working link.
    package var isConnected: Bool {
        guard let link = current.withLock({ $0.link }) else { return false }
        return natsConnection_Status(link.pointer) == NATS_CONN_STATUS_CONNECTED
    }

    /// nil while there is no link.
    package var serverInfo: ServerInfo? { current.withLock({ $0.link })?.serverInfo }

    package var counters: ConnectionCounters { supervision.read { $0.counters } }

    /// Messages dropped because readers were slow, over all subscriptions.
    package var droppedMessages: UInt64 { subscriptions.dropped }

    /// The events from now on. Each call gives a stream of its own, which keeps the newest 256.
    package func eventStream() -> AsyncStream<ConnectionEvent> { events.stream() }

    // MARK: Publishing

    /// Hands one message to libnats.
    ///
    /// Returns the epoch it was handed over in. That it arrived is not known before `flush(since:)`.
    /// - Throws: `.disconnected`, `.closed`, `.payloadTooLarge` with nothing sent; `.connectionLost` when the write
    ///   failed on the way.
    @discardableResult
    package func publish(
        _ subject: Subject, reply: Subject? = nil, headers: NATSHeaders = .none, payload: UnsafeRawBufferPointer
    ) throws(NATSError) -> ConnectionEpoch {
        let (link, epoch) = current.withLock { ($0.link, $0.epoch) }
        guard let link else { throw noLink() }
        let status: natsStatus
        if let reply {
            status = reply.cString.withUnsafeBufferPointer {
                link.publish(subject, reply: $0.baseAddress, headers: headers, payload: payload)
            }
        } else {
            status = link.publish(subject, reply: nil, headers: headers, payload: payload)
        }
        guard status == NATS_OK else { throw .library(status, "Publishing", context: subject.description) }
        return epoch
    }

    @discardableResult
    package func publish(
        _ subject: Subject, reply: Subject? = nil, headers: NATSHeaders = .none, payload: [UInt8]
    ) throws(NATSError) -> ConnectionEpoch {
        // `withUnsafeBytes` does not carry a typed error.
        let result: Result<ConnectionEpoch, NATSError> = payload.withUnsafeBytes { bytes in
            do throws(NATSError) {
                return .success(try publish(subject, reply: reply, headers: headers, payload: bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Asks and awaits one reply. Cancelling the task ends the wait at once.
    /// - Throws: `.noResponders`, `.timeout` (late by at most 20 ms), `.connectionLost`, `.cancelled`, and what
    ///   `publish` throws.
    package func request(
        _ subject: Subject, headers: NATSHeaders = .none, payload: [UInt8] = [], timeout: Duration
    ) async throws(NATSError) -> NATSMessage {
        let answer = await requests.request(timeout: timeout) { reply throws(NATSError) in
            try publish(subject, reply: reply, headers: headers, payload: payload)
        }
        do throws(NATSError) {
            let message = try answer.get()
            configuration.onAnswer?(subject, payload, message)
            return message
        } catch {
            throw NATSError(error.code, error.message, context: subject.description)
        }
    }

    func noLink() -> NATSError {
        if supervision.read({ $0.isClosing }) { return .connectionClosed }
        return NATSError(.disconnected, "There is no link to a server at the moment.")
    }

    // MARK: Subscribing

    /// Receives on libnats' delivery thread for this subscription: the cheapest way, for hot paths.
    ///
    /// `onMessage` must not block, and must call nothing of libnats that waits. It goes on over reconnects and new
    /// links until `cancel()`.
    /// - Parameter pendingLimit: messages libnats holds while `onMessage` is busy; then it drops the newest, which is a
    ///   `slowConsumer` event.
    package func subscribe(
        _ filter: SubjectFilter, queue: Subject? = nil, pendingLimit: Int = 65_536,
        onMessage: @escaping @Sendable (borrowing IncomingMessage) -> Void
    ) throws(NATSError) -> NATSCallbackSubscription {
        let entry = SubscriptionEntry(
            filter: filter, queue: queue, pendingLimit: pendingLimit, isInternal: false, deliver: onMessage)
        try add(entry)
        return NATSCallbackSubscription(entry: entry, registry: subscriptions)
    }

    /// Receives as a sequence.
    ///
    /// Back-pressure: `capacity` messages wait in the sequence; when it is full, libnats' delivery thread of this
    /// subscription waits, and `pendingLimit` more gather in libnats; then the newest are dropped and counted. No
    /// memory beyond that.
    package func subscribe(
        _ filter: SubjectFilter, queue: Subject? = nil, capacity: Int = 1024, pendingLimit: Int = 65_536
    ) throws(NATSError) -> NATSSubscription {
        let mailbox = Mailbox<NATSMessage>(capacity: capacity)
        let entry = SubscriptionEntry(
            filter: filter, queue: queue, pendingLimit: pendingLimit, isInternal: false,
            deliver: { mailbox.put(NATSMessage(copying: $0)) }, onEnd: { mailbox.finish() })
        try add(entry)
        return NATSSubscription(entry: entry, registry: subscriptions, mailbox: mailbox)
    }

    func add(_ entry: SubscriptionEntry) throws(NATSError) {
        if supervision.read({ $0.isClosing }) { throw .connectionClosed }
        try subscriptions.add(entry)
    }
}
