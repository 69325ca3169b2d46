import CNATS
import Synchronization

/// A subscription as the program wants it; libnats' own is made from it on every new ``Link``.
final class SubscriptionEntry: Sendable {
    typealias Deliver = @Sendable (borrowing IncomingMessage) -> Void

    /// What libnats gives back with each message. Held by libnats' subscription until its thread is done.
    private final class Box: @unchecked Sendable {
        // SAFETY: `spent` is touched by the one thread that delivers for a libnats subscription, and by `deinit`.
        let deliver: Deliver
        private var spent = SpentMessages()

        init(_ deliver: @escaping Deliver) { self.deliver = deliver }

        func take(_ message: OpaquePointer, of subscription: OpaquePointer) {
            deliver(IncomingMessage(message: message, subscription: subscription))
            spent.add(UInt(bitPattern: message), size: Int(natsMsg_GetDataLength(message)))
            if IncomingMessage.isIdle(subscription) { spent.destroyAll() }
        }
    }

    private struct State {
        /// The address of libnats' subscription, good for as long as `link` lives.
        var address: UInt?
        weak var link: Link?
        var droppedOnEarlierLinks: UInt64 = 0
        var isCancelled = false
    }

    let filter: SubjectFilter
    let queue: Subject?
    /// Messages libnats may hold for us before it drops the newest; nil: no bound, for replies that are bounded already.
    let pendingLimit: Int?
    /// Inboxes of this module: kept while others are drained.
    let isInternal: Bool
    private let deliver: Deliver
    /// Called when the connection is closed.
    private let onEnd: @Sendable () -> Void
    private let state = Mutex(State())

    init(
        filter: SubjectFilter, queue: Subject?, pendingLimit: Int?, isInternal: Bool, deliver: @escaping Deliver,
        onEnd: @escaping @Sendable () -> Void = {}
    ) {
        self.filter = filter
        self.queue = queue
        self.pendingLimit = pendingLimit
        self.isInternal = isInternal
        self.deliver = deliver
        self.onEnd = onEnd
    }

    /// No message comes any more.
    func end() { onEnd() }

    /// Makes libnats' subscription on `link`. A link that is already lost is no error: the next one gets it too.
    /// - Throws: what libnats refuses for good, such as a bad queue name.
    func attach(to link: Link) throws(NATSError) {
        guard !state.withLock({ $0.isCancelled }) else { return }
        let box = Unmanaged.passRetained(Box(deliver))
        var made: OpaquePointer?
        let status = filter.cString.withUnsafeBufferPointer { subject in
            guard let queue else {
                return natsConnection_Subscribe(
                    &made, link.pointer, subject.baseAddress, deliverMessage, box.toOpaque())
            }
            return queue.cString.withUnsafeBufferPointer {
                natsConnection_QueueSubscribe(
                    &made, link.pointer, subject.baseAddress, $0.baseAddress, deliverMessage, box.toOpaque())
            }
        }
        guard status == NATS_OK, let made else {
            box.release()
            if status == NATS_CONNECTION_CLOSED { return }
            throw NATSError.library(status, "Subscribing", context: filter.description)
        }
        // Released when libnats' thread for this subscription ends. If it has ended already the box stays: libnats
        // does not tell whether it still holds it.
        natsSubscription_SetOnCompleteCB(
            made, { $0.map { Unmanaged<Box>.fromOpaque($0).release() } }, box.toOpaque())
        let limit = pendingLimit.map { Int32(clamping: $0) } ?? -1
        natsSubscription_SetPendingLimits(made, limit, pendingLimit == nil ? -1 : 64 * 1024 * 1024)
        link.keep(made)
        state.withLock { state in
            state.address = UInt(bitPattern: made)
            state.link = link
        }
    }

    /// libnats' subscription for the time of `body`; nil when its link is gone.
    private func withPointer<Result>(_ body: (OpaquePointer) -> Result) -> Result? {
        let (link, address) = state.withLock { ($0.link, $0.address) }
        guard let link, let address, let pointer = OpaquePointer(bitPattern: address) else { return nil }
        return withExtendedLifetime(link) { body(pointer) }
    }

    /// Called when the link is closed, before it is destroyed.
    func detach() {
        let dropped = droppedNow()
        state.withLock { state in
            state.droppedOnEarlierLinks += dropped
            state.address = nil
        }
    }

    func isMade(as address: UInt) -> Bool { state.withLock { $0.address == address } }

    /// Messages dropped because the reader was slow, over all links.
    var dropped: UInt64 { droppedNow() + state.withLock { $0.droppedOnEarlierLinks } }

    /// Stops delivery; what libnats still holds is thrown away.
    func cancel() {
        state.withLock { $0.isCancelled = true }
        _ = withPointer { natsSubscription_Unsubscribe($0) }
        state.withLock { $0.address = nil }
    }

    /// Asks the server for no more and waits until what came has been delivered. Blocks.
    func drain(_ limit: Duration) {
        state.withLock { $0.isCancelled = true }
        _ = withPointer { pointer in
            natsSubscription_DrainTimeout(pointer, limit.libraryMilliseconds)
            natsSubscription_WaitForDrainCompletion(pointer, limit.libraryMilliseconds)
        }
    }

    private func droppedNow() -> UInt64 {
        var dropped: Int64 = 0
        _ = withPointer { natsSubscription_GetDropped($0, &dropped) }
        return UInt64(clamping: dropped)
    }

    fileprivate static let handler: natsMsgHandler = { _, subscription, message, closure in
        guard let subscription, let message, let closure else { return }
        Unmanaged<Box>.fromOpaque(closure).takeUnretainedValue().take(message, of: subscription)
    }
}

private let deliverMessage = SubscriptionEntry.handler

/// All subscriptions of a connection, so that a new link gets every one of them.
final class SubscriptionRegistry: Sendable {
    private struct State {
        var entries: [SubscriptionEntry] = []
        weak var link: Link?
    }

    private let state = Mutex(State())

    /// - Throws: what libnats refuses for good; the entry is then not kept.
    func add(_ entry: SubscriptionEntry) throws(NATSError) {
        let failure: NATSError? = state.withLock { state in
            if let link = state.link {
                do throws(NATSError) { try entry.attach(to: link) } catch { return error }
            }
            state.entries.append(entry)
            return nil
        }
        if let failure { throw failure }
    }

    func remove(_ entry: SubscriptionEntry) {
        entry.cancel()
        state.withLock { $0.entries.removeAll { $0 === entry } }
    }

    /// Makes every subscription on a new link.
    func attachAll(to link: Link) {
        state.withLock { state in
            for entry in state.entries {
                entry.detach()
                // Refused before or never: the same entry was accepted by an earlier link.
                try? entry.attach(to: link)
            }
            state.link = link
        }
    }

    func endAll() {
        for entry in state.withLock({ $0.entries }) { entry.end() }
    }

    func entry(at address: UInt) -> SubscriptionEntry? {
        state.withLock { $0.entries.first { $0.isMade(as: address) } }
    }

    /// Those the program made, not the inboxes of this module.
    var external: [SubscriptionEntry] { state.withLock { $0.entries.filter { !$0.isInternal } } }

    var dropped: UInt64 { state.withLock { $0.entries.reduce(0) { $0 + $1.dropped } } }
}
