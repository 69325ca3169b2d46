/// A subscription whose messages go to a callback. Ends with `cancel()` or the connection.
package final class NATSCallbackSubscription: Sendable {
    private let entry: SubscriptionEntry
    private let registry: SubscriptionRegistry

    init(entry: SubscriptionEntry, registry: SubscriptionRegistry) {
        self.entry = entry
        self.registry = registry
    }

    deinit { cancel() }

    /// Messages dropped because the callback was slow.
    package var dropped: UInt64 { entry.dropped }

    package func cancel() { registry.remove(entry) }
}

/// A subscription to iterate over, once. The sequence ends with `cancel()`, with the task, or with the connection.
package final class NATSSubscription: AsyncSequence, Sendable {
    package typealias Element = NATSMessage
    package typealias Failure = Never

    private let entry: SubscriptionEntry
    private let registry: SubscriptionRegistry
    private let mailbox: Mailbox<NATSMessage>

    init(entry: SubscriptionEntry, registry: SubscriptionRegistry, mailbox: Mailbox<NATSMessage>) {
        self.entry = entry
        self.registry = registry
        self.mailbox = mailbox
    }

    deinit { cancel() }

    /// Messages dropped because the reader was slow.
    package var dropped: UInt64 { entry.dropped }

    /// Messages that wait here, not counting those in libnats.
    package var waiting: Int { mailbox.count }

    package func cancel() {
        // First the mailbox: libnats' thread may be waiting in it.
        mailbox.finish()
        registry.remove(entry)
    }

    package func makeAsyncIterator() -> Iterator { Iterator(subscription: self) }

    package struct Iterator: AsyncIteratorProtocol {
        let subscription: NATSSubscription

        package mutating func next() async -> NATSMessage? { await subscription.mailbox.take() }

        package mutating func next(isolation actor: isolated (any Actor)?) async -> NATSMessage? {
            await subscription.mailbox.take()
        }
    }
}
