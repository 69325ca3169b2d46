import Synchronization

/// One message of a stream, as a consumer delivered it.
package struct PulledMessage: Sendable {
    package let message: NATSMessage
    /// Where it stands in the stream.
    package let streamSequence: UInt64
    /// Counts the deliveries of this consumer, repeated ones included, without gaps: one that is missing was lost on the
    /// way.
    package let consumerSequence: UInt64
    /// How often it was delivered, to whomever, this time included.
    package let deliveries: UInt64
    /// When the stream took it, by the server's clock: nanoseconds since 1970.
    package let storedAt: Int64

    /// Nil for what no consumer delivered.
    init?(_ message: NATSMessage) {
        guard let reply = message.reply, let place = Delivery(ackSubject: reply) else { return nil }
        self.message = message
        streamSequence = place.streamSequence
        consumerSequence = place.consumerSequence
        deliveries = place.deliveries
        storedAt = place.storedAt
    }
}

/// What a pull consumer tells its reader.
package enum PullEvent: Sendable {
    case delivery(PulledMessage)
    /// Time passes; comes every quarter of a second, so that a reader can look around.
    case tick
    /// The consumer is of no more use: it is gone, or nothing is heard of it. A new one begins where this one's
    /// acknowledgements ended.
    case broken(String)
}

/// Fetches a durable consumer's messages in batches, the next one while the last of the one before are still being
/// worked on. Plain requests; libnats' own JetStream client is not used.
///
/// One pull is out at a time, so that messages come in the order in which the server delivers them. A pull that the
/// server forgot is noticed by its silence. A lost connection may have taken acknowledgements with it, whose messages the
/// server keeps back until their time is up: the consumer is broken, as a new one has them at once.
package final class PullConsumer: ConnectionObserver {
    /// Messages in one pull; the next is asked for when half of them are left. A reader holds one and a half batches.
    private static let batch = 100
    private static let expiry = Duration.seconds(2)
    /// Beyond the expiry, until a pull without an answer counts as lost.
    private static let grace = Duration.seconds(2)
    private static let round = Duration.milliseconds(250)

    private struct State {
        /// Messages that the pull under way may still bring.
        var outstanding = 0
        /// Messages that the reader has not taken.
        var waiting = 0
        /// When the pull under way was sent, or last answered.
        var heardAt: Int64 = 0
        /// No further pull is sent; the one under way may yet bring something.
        var isFinishing = false
    }

    private let connection: NATSConnection
    private let pullSubject: Subject
    private let inbox: Subject
    private let state = Mutex(State())
    private let subscription = Mutex<NATSCallbackSubscription?>(nil)
    private let feed: AsyncStream<PullEvent>.Continuation
    /// To be read by one task, which says ``took()`` for each delivery.
    package let events: AsyncStream<PullEvent>

    package init(_ connection: NATSConnection, stream: String, consumer: String) throws(NATSError) {
        self.connection = connection
        pullSubject = try Subject("$JS.API.CONSUMER.MSG.NEXT.\(stream).\(consumer)")
        let inbox = connection.configuration.inboxPrefix + "." + UniqueName.make()
        self.inbox = try Subject(inbox)
        // Bounded by what pulls ask for.
        (events, feed) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        let own = Array(inbox.utf8)
        let subscribed = try connection.subscribe(try SubjectFilter(inbox)) { [weak self] message in
            self?.receive(NATSMessage(copying: message), isStatus: message.subject.elementsEqual(own))
        }
        subscription.withLock { $0 = subscribed }
        connection.observers.add(self)
    }

    func linkWasLost() { feed.yield(.broken("the connection was lost")) }

    func connectionWasClosed() { linkWasLost() }

    func tick(_: Int64) {}

    /// Keeps pulls under way until it is cancelled. The reader's events come from here.
    package func run() async {
        while !Task.isCancelled, !state.withLock({ $0.isFinishing && $0.outstanding == 0 }) {
            pull()
            feed.yield(.tick)
            let silence = state.withLock { $0.outstanding > 0 ? MonotonicClock.now() - $0.heardAt : 0 }
            if silence > (Self.expiry + Self.grace).nanoseconds { feed.yield(.broken("a pull was not answered")) }
            try? await Task.sleep(for: Self.round)
        }
        close()
    }

    /// Pulls no more. The events end when the pull under way has ended: what is on its way meets a reader, and need not
    /// wait until the server believes it lost.
    package func finish() { state.withLock { $0.isFinishing = true } }

    /// The reader has taken a delivery off the stream of events.
    package func took() {
        state.withLock { $0.waiting -= 1 }
        pull()
    }

    /// Tells the server that a message is done with. One that gets lost is made up for when the message comes again.
    package func acknowledge(_ delivery: PulledMessage) { answer(delivery, "+ACK") }

    /// Gives a message back: it is delivered again, to anybody, after a pause. Where the word gets lost, it is after the
    /// consumer's time for an acknowledgement.
    package func giveBack(_ delivery: PulledMessage, for pause: Duration) {
        answer(delivery, #"-NAK {"delay":\#(pause.nanoseconds)}"#)
    }

    private func answer(_ delivery: PulledMessage, _ word: String) {
        guard let reply = delivery.message.reply, let subject = try? Subject(reply) else { return }
        _ = try? connection.publish(subject, payload: Array(word.utf8))
    }

    private func close() {
        subscription.withLock { $0 }?.cancel()
        feed.finish()
    }

    private func pull() {
        let isDue = state.withLock { state in
            guard state.outstanding == 0, state.waiting <= Self.batch / 2, !state.isFinishing else { return false }
            state.outstanding = Self.batch
            state.heardAt = MonotonicClock.now()
            return true
        }
        guard isDue else { return }
        let body = #"{"batch":\#(Self.batch),"expires":\#(Self.expiry.nanoseconds)}"#
        do {
            try connection.publish(pullSubject, reply: inbox, payload: Array(body.utf8))
        } catch {
            feed.yield(.broken("a pull could not be sent: \(error)"))
        }
    }

    /// On libnats' delivery thread.
    private func receive(_ message: NATSMessage, isStatus: Bool) {
        if isStatus {
            take(status: message)
        } else if let delivery = PulledMessage(message) {
            state.withLock { state in
                state.outstanding = max(0, state.outstanding - 1)
                state.waiting += 1
                state.heardAt = MonotonicClock.now()
            }
            feed.yield(.delivery(delivery))
        }
    }

    private func take(status message: NATSMessage) {
        // The pull is over: nothing came in its time (404, 408), or the server ended it.
        state.withLock { $0.outstanding = 0 }
        switch message.status {
        case 404, 408: break
        case 503: feed.yield(.broken("nobody answers for the consumer"))
        case let status:
            feed.yield(.broken("\(status ?? 0) \(message.header("Description") ?? "without a description")"))
        }
    }
}
