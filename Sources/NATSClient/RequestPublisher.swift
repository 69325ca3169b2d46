import CNATS
import Synchronization

/// Sends requests with many in flight, and tells what became of each.
///
/// Every request that does not throw is resolved exactly once: by its first reply, by the server's word that nobody
/// listens, at its own deadline (late by at most 20 ms), when the connection breaks, when the server forbids the
/// subject, or by `shutdown`. A request that throws was certainly not sent, but for `.connectionLost`, and is never
/// resolved. What comes after a resolution is ignored.
///
/// Replies come to an inbox of this publisher's own; the last token of the reply subject is a number of the caller's.
/// It should be one that nobody can guess: who answers one request knows the inbox, and shall not answer another's.
/// A request that is sent again under the same number is answered by the first reply to either copy.
///
/// `onResolve` is called on threads that must not wait (libnats' delivery and callback threads, the metronome).
package final class RequestPublisher: Sendable {
    package typealias OnResolve = @Sendable (_ resolutions: [RequestResolution]) -> Void

    /// The connections: one that sends at once, one that gathers writes. The server says "no responders" on the
    /// connection that asked, so each has an inbox.
    package enum Road: String, Sendable, CaseIterable {
        case prompt
        case gathered
    }

    private let roads: [Road: RequestRoad]
    private let onResolve: OnResolve
    private let table = Mutex(RequestTable())
    private let isShutDown = Atomic(false)

    package init(
        prompt: NATSConnection, gathered: NATSConnection, onResolve: @escaping OnResolve
    ) throws(NATSError) {
        self.onResolve = onResolve
        let name = UniqueName.make()
        roads = [
            .prompt: RequestRoad(prompt, .prompt, inbox: name),
            .gathered: RequestRoad(gathered, .gathered, inbox: name),
        ]
        for road in roads.values { try road.open(for: self) }
    }

    deinit { for road in roads.values { road.close() } }

    /// Requests that await their reply.
    package var inFlight: Int { table.withLock { $0.count } }

    /// Sends one request. `token` comes back with the outcome; it need not be unique.
    /// - Parameters:
    ///   - key: the number in the reply subject.
    ///   - timeout: from now to the last moment that a reply counts.
    ///   - outlastsBreaks: the reply is awaited until then whatever becomes of the connection.
    /// - Throws: with nothing to be resolved: `.disconnected`, `.payloadTooLarge`, `.closed` with nothing sent,
    ///   `.connectionLost` when the write failed on the way.
    package func request(
        token: UInt64, key: UInt64, _ message: OutgoingMessage, by way: Road, timeout: Duration, outlastsBreaks: Bool
    ) throws(NATSError) {
        if isShutDown.load(ordering: .relaxed) { throw .connectionClosed }
        guard let road = roads[way] else { return }
        let entry = RequestTable.Entry(
            token: token, subject: message.subject, deadline: MonotonicClock.now() + timeout.nanoseconds, road: way,
            outlastsBreaks: outlastsBreaks)
        // Before it is sent: the reply may be here before the call has come back.
        if let earlier = table.withLock({ $0.admit(key, entry) }) { tell([earlier], .connectionLost) }
        do throws(NATSError) {
            try road.send(message, key: key)
        } catch {
            // Gone: the break was told meanwhile, and this request is resolved.
            if table.withLock({ $0.take(key) }) != nil { throw error }
        }
    }

    /// Ends the publisher: requests throw `.closed`, what is outstanding is resolved as `connectionLost`.
    package func shutdown() {
        isShutDown.store(true, ordering: .relaxed)
        for road in roads.values { road.close() }
        tell(table.withLock { $0.takeAll { _ in true } }, .connectionLost)
    }

    private func tell(_ tokens: [UInt64], _ outcome: RequestOutcome) {
        guard !tokens.isEmpty else { return }
        onResolve(tokens.map { RequestResolution(token: $0, outcome: outcome) })
    }
}

// MARK: - What the roads hear

extension RequestPublisher {
    fileprivate func heard(_ replies: [(key: UInt64, outcome: RequestOutcome)]) {
        let resolutions = table.withLock { table in
            replies.compactMap { reply in
                table.take(reply.key).map { RequestResolution(token: $0, outcome: reply.outcome) }
            }
        }
        if !resolutions.isEmpty { onResolve(resolutions) }
    }

    fileprivate func broke(_ road: Road) {
        tell(table.withLock { $0.takeAll { $0.road == road && !$0.outlastsBreaks } }, .connectionLost)
    }

    fileprivate func closed(_ road: Road) {
        tell(table.withLock { $0.takeAll { $0.road == road } }, .connectionLost)
    }

    fileprivate func passed(_ now: Int64) { tell(table.withLock { $0.takeExpired(now) }, .timedOut) }

    fileprivate func forbade(_ subject: Subject, on road: Road) {
        tell(table.withLock { $0.takeAll { $0.road == road && $0.subject == subject } }, .notPermitted)
    }
}

/// One connection of a ``RequestPublisher``, with its inbox.
private final class RequestRoad: ConnectionObserver {
    private struct State {
        weak var publisher: RequestPublisher?
        var subscription: SubscriptionEntry?
        /// Read and not yet told.
        var replies: [Reply] = []
    }

    typealias Reply = (key: UInt64, outcome: RequestOutcome)

    private static let mostTogether = 256
    private static let digits = 16

    private let connection: NATSConnection
    private let road: RequestPublisher.Road
    /// Ends with a dot.
    private let prefix: String
    private let state = Mutex(State())

    init(_ connection: NATSConnection, _ road: RequestPublisher.Road, inbox: String) {
        self.connection = connection
        self.road = road
        prefix = "\(connection.configuration.inboxPrefix).\(inbox).\(road.rawValue)."
    }

    func open(for publisher: RequestPublisher) throws(NATSError) {
        let entry = SubscriptionEntry(
            filter: try SubjectFilter(prefix + "*"), queue: nil, pendingLimit: nil, isInternal: true
        ) { [weak self] in
            self?.receive($0)
        }
        try connection.add(entry)
        state.withLock { state in
            state.publisher = publisher
            state.subscription = entry
        }
        connection.observers.add(self)
    }

    func close() {
        let entry = state.withLock { state in
            defer { state.subscription = nil }
            return state.subscription
        }
        if let entry { connection.subscriptions.remove(entry) }
    }

    func send(_ message: OutgoingMessage, key: UInt64) throws(NATSError) {
        guard let link = connection.current.withLock({ $0.link }) else { throw connection.noLink() }
        let digits = String(key, radix: 16)
        let reply = try Subject(prefix + String(repeating: "0", count: Self.digits - digits.count) + digits)
        let status = message.payload.withUnsafeBytes { payload in
            reply.cString.withUnsafeBufferPointer {
                link.publish(message.subject, reply: $0.baseAddress, headers: message.headers, payload: payload)
            }
        }
        guard status == NATS_OK else {
            throw .library(status, "Sending a request", context: message.subject.description)
        }
    }

    private var publisher: RequestPublisher? { state.withLock { $0.publisher } }

    /// On libnats' delivery thread: gathers what libnats holds already, then takes the table's lock once.
    private func receive(_ message: borrowing IncomingMessage) {
        let subject = message.subject
        var reply: Reply?
        if subject.count == prefix.utf8.count + Self.digits {
            let digits = UnsafeRawBufferPointer(rebasing: subject[prefix.utf8.count...])
            if let key = UInt64(String(validating: digits), radix: 16) {
                reply = (key, message.isNoResponders ? .noResponders : .answered(RequestReply(message)))
            }
        }
        let isLast = message.isLastOfBurst
        let full = state.withLock { state -> (replies: [Reply], publisher: RequestPublisher?)? in
            if let reply { state.replies.append(reply) }
            guard isLast || state.replies.count >= Self.mostTogether else { return nil }
            defer { state.replies.removeAll(keepingCapacity: true) }
            return (state.replies, state.publisher)
        }
        if let full { full.publisher?.heard(full.replies) }
    }

    func tick(_ now: Int64) {
        // The table is one: one road's clock is enough.
        if road == .prompt { publisher?.passed(now) }
    }

    func linkWasLost() { publisher?.broke(road) }
    func connectionWasClosed() { publisher?.closed(road) }

    func publishWasForbidden(on subject: String) {
        if let subject = try? Subject(subject) { publisher?.forbade(subject, on: road) }
    }
}
