import Synchronization

package enum BucketWatchEvent: Sendable, Equatable {
    /// What was known is void: the values follow anew. The first event, and again after each break: a lost connection,
    /// a lost message, silence of the server, a bucket made anew.
    case snapshotStarted
    case entry(BucketEntry)
    /// All values there were have been told; from here on come changes.
    case snapshotEnded
    /// The server spoke though nothing changed: whatever was stored before has been told.
    case heartbeat
}

/// Follows a bucket: a snapshot, then each change, for ever. Iterate once, from one task.
///
/// It is a plain push consumer (`last_per_subject`, no acknowledgements, heartbeats), made with one JSON request, not
/// libnats' ordered consumer: that one recreates itself on a thread of its own and hides the break, and a lock must know
/// of it. The consumer's own sequence in each reply subject shows a lost message, three heartbeats missed show silence;
/// either way, and after every lost link, a new consumer begins with a new snapshot. The iterator does all this while
/// it is awaited: there is no task behind it, and a reader that is slow holds up nobody but itself.
package final class BucketWatch: AsyncSequence, ConnectionObserver {
    package typealias Element = BucketWatchEvent
    package typealias Failure = Never

    /// One consumer: its inbox, and what came to it.
    fileprivate final class Session: Sendable {
        let mailbox: Mailbox<NATSMessage>
        let entry: SubscriptionEntry
        let heard: Heard

        init(_ filter: SubjectFilter, capacity: Int) {
            let mailbox = Mailbox<NATSMessage>(capacity: capacity)
            let heard = Heard()
            self.mailbox = mailbox
            self.heard = heard
            entry = SubscriptionEntry(
                filter: filter, queue: nil, pendingLimit: 65_536, isInternal: true,
                deliver: { message in
                    heard.last.store(MonotonicClock.now(), ordering: .relaxed)
                    mailbox.put(NATSMessage(copying: message))
                }, onEnd: { mailbox.finish() })
        }
    }

    fileprivate final class Heard: Sendable {
        /// Nanoseconds on the monotonic clock.
        let last = Atomic(MonotonicClock.now())
    }

    private struct State {
        var session: Session?
        var isCancelled = false
    }

    /// The server speaks at least this often.
    package static let heartbeat: Duration = .milliseconds(500)

    fileprivate let bucket: KeyValueBucket
    fileprivate let filter: SubjectFilter
    private let capacity: Int
    private let state = Mutex(State())

    init(_ bucket: KeyValueBucket, _ filter: SubjectFilter, capacity: Int) {
        self.bucket = bucket
        self.filter = filter
        self.capacity = capacity
        bucket.connection.observers.add(self)
    }

    deinit { cancel() }

    /// Ends the sequence.
    package func cancel() {
        state.withLock { $0.isCancelled = true }
        endSession()
    }

    package func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

    fileprivate var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Gives the present consumer up; the iterator makes another.
    fileprivate func endSession() {
        let session = state.withLock { state in
            defer { state.session = nil }
            return state.session
        }
        guard let session else { return }
        session.mailbox.finish()
        bucket.connection.subscriptions.remove(session.entry)
    }

    /// Makes a consumer with an inbox of its own. Gives it and the number of messages of the snapshot.
    fileprivate func startSession() async throws(NATSError) -> (Session, UInt64) {
        endSession()
        let connection = bucket.connection
        let inbox = connection.configuration.inboxPrefix + "." + UniqueName.make()
        let session = Session(try SubjectFilter(inbox), capacity: capacity)
        try connection.add(session.entry)
        let isCancelled = state.withLock { state in
            state.session = session
            return state.isCancelled
        }
        if isCancelled {
            endSession()
            throw .connectionClosed
        }
        let body = """
            {"stream_name":\(jsonString(bucket.stream)),"config":{"deliver_subject":\(jsonString(inbox)),\
            "deliver_policy":"last_per_subject","ack_policy":"none","max_deliver":1,"replay_policy":"instant",\
            "filter_subject":\(jsonString(filter.description)),"idle_heartbeat":\(Self.heartbeat.nanoseconds),\
            "mem_storage":true,"num_replicas":1,"inactive_threshold":5000000000}}
            """
        let reply = try await bucket.jetstream.request("CONSUMER.CREATE.\(bucket.stream)", body: Array(body.utf8))
        var pending: UInt64?
        reply.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            cursor.forEachMember { key, cursor in if key.equals("num_pending") { pending = cursor.unsigned() } }
        }
        guard let pending else { throw .malformed("a consumer's info", bucket.name) }
        return (session, pending)
    }

    func linkWasLost() { endSession() }

    func connectionWasClosed() { cancel() }

    func tick(_ now: Int64) {
        let session = state.withLock { $0.session }
        guard let session else { return }
        if now - session.heard.last.load(ordering: .relaxed) > 3 * Self.heartbeat.nanoseconds { endSession() }
    }
}

extension BucketWatch {
    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let watch: BucketWatch
        private var session: Session?
        private var ready: [BucketWatchEvent] = []
        /// The consumer's sequence of the last message.
        private var delivered: UInt64 = 0
        private var isInSnapshot = false
        private var pause: Duration = .milliseconds(50)

        fileprivate init(watch: BucketWatch) { self.watch = watch }

        package mutating func next(isolation actor: isolated (any Actor)?) async -> BucketWatchEvent? {
            await advance()
        }

        package mutating func next() async -> BucketWatchEvent? { await advance() }

        private mutating func advance() async -> BucketWatchEvent? {
            while true {
                if !ready.isEmpty { return ready.removeFirst() }
                if watch.isCancelled || Task.isCancelled { return nil }
                guard let session else {
                    await open()
                    continue
                }
                if let message = await session.mailbox.take() {
                    interpret(message)
                } else {
                    self.session = nil
                }
            }
        }

        private mutating func open() async {
            do throws(NATSError) {
                let (session, pending) = try await watch.startSession()
                self.session = session
                delivered = 0
                pause = .milliseconds(50)
                isInSnapshot = pending > 0
                ready.append(.snapshotStarted)
                if pending == 0 { ready.append(.snapshotEnded) }
            } catch {
                // No bucket, no leader, no link: all of them may end, and the caller waits for events, not for errors.
                try? await Task.sleep(for: pause)
                pause = Swift.min(pause * 2, .seconds(1))
            }
        }

        private mutating func interpret(_ message: NATSMessage) {
            if message.status == 100 {
                if !isInSnapshot { ready.append(.heartbeat) }
                return
            }
            guard let reply = message.reply, let place = Delivery(ackSubject: reply) else { return }
            delivered += 1
            guard place.consumerSequence == delivered else {
                // A message is missing: dropped by libnats for our slowness, or lost on the way.
                watch.endSession()
                session = nil
                return
            }
            let prefix = "$KV.\(watch.bucket.name)."
            if message.subject.hasPrefix(prefix) {
                let operation = message.header("KV-Operation")
                ready.append(
                    .entry(
                        BucketEntry(
                            key: String(message.subject.dropFirst(prefix.count)), value: message.payload,
                            revision: place.streamSequence, isDeleted: operation == "DEL" || operation == "PURGE")))
            }
            if isInSnapshot, place.pending == 0 {
                isInSnapshot = false
                ready.append(.snapshotEnded)
            }
        }
    }
}

/// What a delivered message's reply subject tells:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`; newer servers put domain and
/// account between the first two and the stream.
struct Delivery {
    /// How often the message was delivered, this time included.
    let deliveries: UInt64
    let streamSequence: UInt64
    let consumerSequence: UInt64
    /// Nanoseconds since 1970.
    let storedAt: Int64
    let pending: UInt64

    init?(ackSubject: String) {
        let tokens = ackSubject.split(separator: ".")
        let shift = tokens.count >= 11 ? 2 : 0
        guard tokens.count >= 9 + shift, tokens[0] == "$JS", tokens[1] == "ACK",
            let deliveries = UInt64(tokens[4 + shift]), let streamSequence = UInt64(tokens[5 + shift]),
            let consumerSequence = UInt64(tokens[6 + shift]), let storedAt = Int64(tokens[7 + shift]),
            let pending = UInt64(tokens[8 + shift])
        else { return nil }
        self.deliveries = deliveries
        self.streamSequence = streamSequence
        self.consumerSequence = consumerSequence
        self.storedAt = storedAt
        self.pending = pending
    }
}
