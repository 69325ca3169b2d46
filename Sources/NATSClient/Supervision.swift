import CNATS
import Glibc
import Synchronization

/// What the supervisor's thread is told, and tells.
struct Supervision {
    struct Flush {
        let continuation: CheckedContinuation<Result<Void, NATSError>, Never>
        let since: ConnectionEpoch
        let deadline: Int64
    }

    var isClosing = false
    var isClosed = false
    /// libnats closed the present link.
    var isLinkLost = false
    /// A reconnect was told; the exact epoch is to be read.
    var isEpochStale = false
    var generation: UInt32 = 0
    /// Why there is no link, in words; of no meaning while there is one.
    var fault: String?
    /// The files with which the present link was made.
    var stamps: FileStamps?
    var counters = ConnectionCounters()
    var flushes: [UInt64: Flush] = [:]
    var nextFlush: UInt64 = 1
    var firstLink: CheckedContinuation<Result<Void, NATSError>, Never>?
    var closers: [CheckedContinuation<Void, Never>] = []
    var hasHadLink = false
}

/// The supervisor: one thread that makes links, flushes, and watches the flusher.
extension NATSConnection {
    private enum Errand {
        case close
        case rebuild
        case readEpoch
        case flush
    }

    /// Starts the threads and waits for the first link.
    func start(within limit: Duration?) async -> Result<Void, NATSError> {
        let deadline = limit.map { MonotonicClock.now() + $0.nanoseconds }
        return await withCheckedContinuation { continuation in
            supervision.update { $0.firstLink = continuation }
            do throws(NATSError) {
                try OwnThread.start("nats-supervisor") { self.supervise(firstLinkBy: deadline) }
                try Metronome.start(observers) { self.supervision.read { $0.isClosed } }
            } catch {
                answerFirstLink(.failure(error))
            }
        }
    }

    private func answerFirstLink(_ result: Result<Void, NATSError>) {
        let waiter = supervision.update { state in
            defer { state.firstLink = nil }
            return state.firstLink
        }
        waiter?.resume(returning: result)
    }

    private func supervise(firstLinkBy deadline: Int64?) {
        rebuild(deadline: deadline)
        var watch = FlusherWatch()
        while true {
            let errand: Errand? = supervision.wait(atMost: FlusherWatch.period.nanoseconds) { state in
                if state.isClosing { return .close }
                if state.isLinkLost { return .rebuild }
                if state.isEpochStale { return .readEpoch }
                return state.flushes.isEmpty ? nil : .flush
            }
            switch errand {
            case .close: return tearDown()
            case .rebuild: rebuild(deadline: nil)
            case .readEpoch: readEpoch()
            case .flush: flushOnce()
            case nil:
                watch.look(at: self)
                noteFaultOfLink()
                replaceLinkOfOldFiles()
            }
        }
    }

    // MARK: Links

    /// Makes a new link: tries until it works, `close()` is called or `deadline` is over.
    private func rebuild(deadline: Int64?) {
        let old = current.withLock { current in
            defer { current.link = nil }
            return current.link
        }
        if old != nil {
            observers.tell { $0.linkWasLost() }
            failFlushes()
        }
        var pause = configuration.reconnectWait.nanoseconds
        while true {
            // Before they are read: what changes meanwhile is newer than the link.
            let stamps = FileStamps(configuration)
            let generation = supervision.update { state in
                state.isLinkLost = false
                state.generation += 1
                state.stamps = stamps
                return state.generation
            }
            let failure: NATSError
            switch attempt(generation) {
            case .success(let link): return install(link)
            case .failure(let error): failure = error
            }
            supervision.update { $0.fault = failure.message }
            events.send(.error(failure.description))
            let left = deadline.map { $0 - MonotonicClock.now() } ?? .max
            if left <= 0 || failure.code == .invalidConfiguration { answerFirstLink(.failure(failure)) }
            let isClosing: Bool? = supervision.wait(atMost: min(pause, max(0, left))) { $0.isClosing ? true : nil }
            if isClosing == true { return }
            pause = min(pause * 2, 5_000_000_000)
        }
    }

    private func attempt(_ generation: UInt32) -> Result<Link, NATSError> {
        let identity = ConnectionRegistry.register(self, generation: generation)
        let limit = configuration.connectTimeout * (2 * configuration.servers.count) + .seconds(2)
        switch ConnectAttempt.run(configuration, identity: identity, limit: limit) {
        case .connected(let address):
            if let pointer = OpaquePointer(bitPattern: address) {
                return .success(Link(pointer, generation: generation, identity: identity))
            }
            return .failure(NATSError(.malformedReply, "libnats gave no connection object."))
        case .failed(let error):
            ConnectionRegistry.unregister(identity)
            return .failure(error)
        }
    }

    private func install(_ link: Link) {
        subscriptions.attachAll(to: link)
        let epoch = link.epoch
        current.withLock { current in
            current.link = link
            current.epoch = epoch
        }
        supervision.update { state in
            if state.hasHadLink { state.counters.rebuilds += 1 }
            state.hasHadLink = true
            state.fault = nil
        }
        events.send(.connected(epoch: epoch))
        answerFirstLink(.success(()))
    }

    private func readEpoch() {
        supervision.update { $0.isEpochStale = false }
        guard let link = current.withLock({ $0.link }) else { return }
        let epoch = link.epoch
        current.withLock { $0.epoch = epoch }
        events.send(.reconnected(epoch: epoch))
    }

    private func tearDown() {
        let link = current.withLock { current in
            defer { current.link = nil }
            return current.link
        }
        if let link {
            natsConnection_FlushTimeout(link.pointer, 500)
            natsConnection_Close(link.pointer)
        }
        failFlushes()
        subscriptions.endAll()
        observers.tell { $0.connectionWasClosed() }
        answerFirstLink(.failure(.connectionClosed))
        let closers = supervision.update { state in
            state.isClosed = true
            defer { state.closers = [] }
            return state.closers
        }
        events.send(.closed)
        events.finish()
        for closer in closers { closer.resume() }
    }

    // MARK: Events of libnats

    /// On libnats' one callback thread: nothing here waits.
    func handle(_ event: LibraryEvent, generation: UInt32) {
        guard supervision.read({ $0.generation == generation && !$0.isClosing }) else { return }
        switch event {
        case .closed:
            observers.tell { $0.linkWasLost() }
            events.send(.linkLost("libnats closed the link for good; a new one is made."))
            supervision.update { $0.isLinkLost = true }
        case .disconnected:
            supervision.update { $0.counters.disconnects += 1 }
            observers.tell { $0.linkWasLost() }
            events.send(.disconnected)
        case .reconnected:
            supervision.update { state in
                state.counters.reconnects += 1
                state.isEpochStale = true
                state.fault = nil
            }
        case .discoveredServers: break
        case .lameDuck: events.send(.lameDuck)
        case .error(let status, let text, let subscription): handleError(status, text, subscription)
        }
    }

    private func handleError(_ status: natsStatus, _ text: String, _ subscription: UInt?) {
        switch status {
        case NATS_SLOW_CONSUMER:
            supervision.update { $0.counters.slowConsumers += 1 }
            guard let subscription, let entry = subscriptions.entry(at: subscription) else { return }
            events.send(.slowConsumer(subject: entry.filter.description, dropped: entry.dropped))
        case NATS_NOT_PERMITTED:
            supervision.update { $0.counters.permissionViolations += 1 }
            guard let violation = PermissionViolation(serverText: text) else {
                events.send(.error(configuration.redacted(text)))
                return
            }
            if violation.operation == .publish {
                observers.tell { $0.publishWasForbidden(on: violation.subject) }
            }
            events.send(.permissionViolation(violation))
        default:
            events.send(.error("\(String(cString: natsStatus_GetText(status))): \(configuration.redacted(text))"))
        }
    }
}
