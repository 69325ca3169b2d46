import CNATS
import Glibc
import Synchronization

/// A message ready to go: everything in it is checked, and lies as libnats wants it.
package struct OutgoingMessage: Sendable {
    package var subject: Subject
    package var headers: NATSHeaders
    package var payload: [UInt8]

    package init(subject: Subject, headers: NATSHeaders = .none, payload: [UInt8]) {
        self.subject = subject
        self.headers = headers
        self.payload = payload
    }
}

/// Publishes to JetStream with many in flight, and tells what became of each.
///
/// Every publish that does not throw is resolved exactly once: by its acknowledgement, after `timeout` (late by at most
/// 20 ms), when the connection breaks, when the server forbids the subject, or by `cancelAll`. A publish that throws
/// was certainly not sent and is never resolved. What comes after a resolution is ignored.
///
/// The acknowledgements come to an inbox of this publisher's own; the reply subject's last token names the slot in a
/// table, so that nothing is looked up. JetStream's own client in libnats is not used: its time-outs need the wall
/// clock, it keeps a record per publish until the deadline, and its inbox can be guessed.
///
/// `onResolve` is called on threads that must not wait (libnats' delivery and callback threads, the metronome, and the
/// caller's own for a write that failed half-way). It gets as many resolutions at once as have come; take them over
/// and return.
package final class JetStreamPublisher: ConnectionObserver {
    package typealias OnResolve = @Sendable (_ resolutions: [PublishResolution]) -> Void

    /// Acknowledgements read but not yet told. Only libnats' delivery thread comes here; two of them, for a moment,
    /// when a link is made anew.
    private struct Batch {
        static let limit = 256
        /// Nanoseconds: acknowledgements that come this close together are a rush.
        static let busy: Int64 = 5_000_000
        /// Microseconds that the last one in a rush waits for more.
        static let linger: UInt32 = 2000
        var reader = PubAckReader()
        var acknowledgements: [(ticket: InFlightTable.Ticket, outcome: PublishOutcome)] = []
        /// When the last ones were told, on the monotonic clock.
        var toldAt: Int64 = 0
    }

    private let connection: NATSConnection
    private let timeout: Int64
    private let onResolve: OnResolve
    /// Ends with a dot.
    private let replyPrefix: [UInt8]
    private let table: Mutex<InFlightTable>
    private let batch = Mutex(Batch())
    private let isShutDown = Atomic(false)
    private let subscription = Mutex<SubscriptionEntry?>(nil)

    /// - Parameters:
    ///   - timeout: from the publish to the last moment an acknowledgement counts.
    ///   - maxInFlight: publishes that may await their acknowledgement; the next one throws `.tooManyInFlight`. About
    ///     48 bytes each.
    package init(
        _ connection: NATSConnection, timeout: Duration, maxInFlight: Int = 65_536, onResolve: @escaping OnResolve
    ) throws(NATSError) {
        self.connection = connection
        self.timeout = timeout.nanoseconds
        self.onResolve = onResolve
        table = Mutex(InFlightTable(capacity: maxInFlight))
        let prefix = connection.configuration.inboxPrefix + "." + UniqueName.make() + "."
        replyPrefix = Array(prefix.utf8)
        let entry = SubscriptionEntry(
            filter: try SubjectFilter(prefix + "*"), queue: nil, pendingLimit: nil, isInternal: true
        ) { [weak self] in
            self?.receive($0)
        }
        try connection.add(entry)
        subscription.withLock { $0 = entry }
        connection.observers.add(self)
    }

    deinit { removeSubscription() }

    /// Publishes that await their acknowledgement.
    package var inFlight: Int { table.withLock { $0.count } }

    /// Sends one message. `token` comes back with the outcome; it need not be unique.
    /// - Throws: with nothing sent and nothing to be resolved: `.tooManyInFlight`, `.disconnected`, `.payloadTooLarge`,
    ///   `.closed`.
    package func publish(token: UInt64, _ message: OutgoingMessage) throws(NATSError) {
        if isShutDown.load(ordering: .relaxed) { throw .connectionClosed }
        guard let link = connection.current.withLock({ $0.link }) else { throw connection.noLink() }
        let deadline = MonotonicClock.now() + timeout
        guard let ticket = table.withLock({ $0.admit(token: token, subject: message.subject, deadline: deadline) })
        else {
            throw NATSError(.tooManyInFlight, "As many publishes as allowed await their acknowledgement.")
        }
        let status = message.payload.withUnsafeBytes { payload in
            withReplySubject(ticket) { reply in
                link.publish(message.subject, reply: reply, headers: message.headers, payload: payload)
            }
        }
        if status != NATS_OK { try settleFailure(status, ticket, message.subject) }
    }

    /// Resolves all that is outstanding, as `connectionLost`: nobody knows what became of them.
    package func cancelAll() { resolveAll { table, body in table.takeAll(body) } }

    /// Ends the publisher: publishes throw `.closed`, what is outstanding is resolved as by `cancelAll()`.
    package func shutdown() {
        isShutDown.store(true, ordering: .relaxed)
        removeSubscription()
        cancelAll()
    }

    private func removeSubscription() {
        let entry = subscription.withLock { entry in
            defer { entry = nil }
            return entry
        }
        if let entry { connection.subscriptions.remove(entry) }
    }

    /// A write that failed: unsent for certain is thrown, anything else is an outcome.
    private func settleFailure(
        _ status: natsStatus, _ ticket: InFlightTable.Ticket, _ subject: Subject
    ) throws(NATSError) {
        // Gone: the disconnect was told meanwhile, and this publish is resolved.
        guard let token = table.withLock({ $0.take(ticket) }) else { return }
        let error = NATSError.library(status, "Publishing", context: subject.description)
        if error.code != .connectionLost { throw error }
        onResolve([PublishResolution(token: token, outcome: .connectionLost)])
    }

    // MARK: Reply subjects

    private static let ticketDigits = 16

    private func withReplySubject<Result>(
        _ ticket: InFlightTable.Ticket, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(
            of: CChar.self, capacity: replyPrefix.count + Self.ticketDigits + 1
        ) { buffer in
            var at = 0
            for byte in replyPrefix {
                buffer[at] = CChar(bitPattern: byte)
                at += 1
            }
            var value = ticket.rawValue
            for place in (at..<at + Self.ticketDigits).reversed() {
                let digit = UInt8(truncatingIfNeeded: value & 0xF)
                buffer[place] = CChar(bitPattern: digit < 10 ? 0x30 + digit : 0x57 + digit)
                value >>= 4
            }
            buffer[at + Self.ticketDigits] = 0
            return body(UnsafePointer(buffer.baseAddress.unsafelyUnwrapped))
        }
    }

    private func ticket(of subject: UnsafeRawBufferPointer) -> InFlightTable.Ticket? {
        guard subject.count == replyPrefix.count + Self.ticketDigits else { return nil }
        var value: UInt64 = 0
        for byte in subject[replyPrefix.count...] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return InFlightTable.Ticket(rawValue: value)
    }

    // MARK: Resolving

    /// On libnats' delivery thread: gathers what libnats holds already, then takes the table's lock once.
    private func receive(_ message: borrowing IncomingMessage) {
        let ticket = ticket(of: message.subject)
        let payload = message.payload
        let isNoResponders = payload.isEmpty && message.isNoResponders
        let (isFull, isBusy) = batch.withLock { batch in
            if let ticket {
                let outcome = isNoResponders ? .noResponders : batch.reader.outcome(of: payload)
                batch.acknowledgements.append((ticket, outcome))
            }
            return (
                batch.acknowledgements.count >= Batch.limit, MonotonicClock.now() - batch.toldAt < Batch.busy
            )
        }
        if !isFull {
            guard message.isLastOfBurst else { return }
            // In a rush each acknowledgement would wake a chain of threads of its own. This one belongs to this inbox:
            // nobody else waits for it.
            if isBusy {
                usleep(Batch.linger)
                guard message.isLastOfBurst else { return }
            }
        }
        tellBatch()
    }

    private func tellBatch() {
        let full = batch.withLock { batch in
            batch.toldAt = MonotonicClock.now()
            defer { batch.acknowledgements.removeAll(keepingCapacity: true) }
            return batch.acknowledgements
        }
        var resolutions: [PublishResolution] = []
        resolutions.reserveCapacity(full.count)
        table.withLock { table in
            for (ticket, outcome) in full {
                guard let token = table.take(ticket) else { continue }
                resolutions.append(PublishResolution(token: token, outcome: outcome))
            }
        }
        if !resolutions.isEmpty { onResolve(resolutions) }
    }

    private func resolveAll(
        as outcome: PublishOutcome = .connectionLost,
        _ take: (inout InFlightTable, (UInt64) -> Void) -> Void
    ) {
        let resolutions = table.withLock { table in
            var resolutions: [PublishResolution] = []
            take(&table) { resolutions.append(PublishResolution(token: $0, outcome: outcome)) }
            return resolutions
        }
        if !resolutions.isEmpty { onResolve(resolutions) }
    }

    func tick(_ now: Int64) {
        resolveAll(as: .timedOut) { table, body in table.takeExpired(now, body) }
    }

    func linkWasLost() { cancelAll() }

    func connectionWasClosed() { cancelAll() }

    func publishWasForbidden(on subject: String) {
        guard let subject = try? Subject(subject) else { return }
        resolveAll(as: .notPermitted) { table, body in table.takeAll(on: subject, body) }
    }
}
