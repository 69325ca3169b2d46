import Glibc
import NATSClient
import Synchronization

/// A lock that is held, or was.
package struct LockToken: Sendable {
    package let name: String
    /// The fencing token: the work's transactions check that the source still has it.
    package let epoch: Int64
    let session: LockSession

    /// True while the lease can be trusted, on the monotonic clock. Ask right before each deed.
    package var isHeld: Bool { session.isTrusted(epoch) }

    /// Waits until the lock is lost or released.
    package func lost() async { await session.ended() }
}

/// Performs what a ``LockMachine`` decides, for one contender and one lock.
final class LockSession: Sendable {
    private struct State {
        var waiter: CheckedContinuation<LockToken?, Never>?
        var enders: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextEnder = 0
        var extenders: [CheckedContinuation<Bool, Never>] = []
        var trustUntil: Int64?
        var epoch: Int64?
        var isEnded = false
        var task: Task<Void, Never>?
    }

    private typealias Stamped = (event: LockMachine.Event, at: Int64)

    let lock: KeyValueLock
    private let name: String
    private let watch: BucketWatch
    private let since: String
    private let state = Mutex(State())
    private let events: AsyncStream<Stamped>
    private let feed: AsyncStream<Stamped>.Continuation

    init(_ lock: KeyValueLock, _ name: String) throws(NATSError) {
        self.lock = lock
        self.name = name
        watch = try lock.bucket.watch("role.\(name).*")
        since = Self.wallTime()
        // Ticks and heartbeats come by themselves again; a thousand of them is minutes of a stuck request.
        (events, feed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    }

    func acquire(within limit: Duration) async -> LockToken? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiter = continuation }
                let task = Task { await self.run(within: limit) }
                state.withLock { $0.task = task }
                if Task.isCancelled { task.cancel() }
            }
        } onCancel: {
            post(.release)
        }
    }

    func release() async {
        post(.release)
        await ended()
    }

    /// Renews now. True when the server confirmed it.
    func extend() async -> Bool {
        await withCheckedContinuation { continuation in
            let isEnded = state.withLock { state in
                if !state.isEnded { state.extenders.append(continuation) }
                return state.isEnded
            }
            if isEnded { continuation.resume(returning: false) } else { post(.extend) }
        }
    }

    private func answerExtenders(_ isConfirmed: Bool) {
        let extenders = state.withLock { state in
            defer { state.extenders = [] }
            return state.extenders
        }
        for extender in extenders { extender.resume(returning: isConfirmed) }
    }

    func isTrusted(_ epoch: Int64) -> Bool {
        let (held, until) = state.withLock { ($0.epoch, $0.trustUntil) }
        guard held == epoch, let until else { return false }
        return MonotonicClock.now() < until
    }

    func ended() async {
        let key = state.withLock { state in
            state.nextEnder += 1
            return state.nextEnder
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isEnded = state.withLock { state in
                    if state.isEnded || Task.isCancelled { return true }
                    state.enders[key] = continuation
                    return false
                }
                if isEnded { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.enders.removeValue(forKey: key) }?.resume()
        }
    }

    private func post(_ event: LockMachine.Event) { feed.yield((event, MonotonicClock.now())) }

    // MARK: The loop

    private func run(within limit: Duration) async {
        let giveUpAt = MonotonicClock.now() + limit.nanoseconds
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow() }
            group.addTask {
                while !Task.isCancelled {
                    try? await Task.sleep(for: self.lock.lease / 25)
                    self.post(.tick)
                }
            }
            var machine = LockMachine(LockMachine.Settings(lease: lock.lease))
            for await (event, at) in events {
                await perform(event, at, &machine)
                if case .ended = machine.phase { break }
                if machine.trustUntil == nil, MonotonicClock.now() >= giveUpAt {
                    await perform(.release, MonotonicClock.now(), &machine)
                    break
                }
            }
            watch.cancel()
            group.cancelAll()
        }
        finish()
    }

    /// Turns the watch into events of the machine.
    private func follow() async {
        for await event in watch {
            switch event {
            case .snapshotStarted: post(.watchBroke)
            case .snapshotEnded: post(.snapshotEnded)
            case .heartbeat: post(.heard)
            case .entry(let entry):
                guard let epoch = LockValue.epoch(ofKey: entry.key) else { continue }
                let lease = LockValue(entry.value)?.leaseMilliseconds ?? 0
                post(
                    .seen(
                        epoch: epoch, revision: entry.revision, isReleased: entry.isDeleted, lease: lease * 1_000_000))
            }
        }
    }

    /// Gives one event to the machine, and what comes of its actions, until nothing comes any more.
    private func perform(_ event: LockMachine.Event, _ at: Int64, _ machine: inout LockMachine) async {
        var pending: [Stamped] = [(event, at)]
        while !pending.isEmpty {
            let (event, at) = pending.removeFirst()
            let pause = Int64.random(in: 0...machine.settings.lease / 20)
            for action in machine.handle(event, now: at, pause: pause) {
                publishTrust(machine)
                if let next = await act(action) { pending.append((next, MonotonicClock.now())) }
            }
            publishTrust(machine)
            switch event {
            case .renewed: answerExtenders(true)
            case .renewRefused, .renewUnknown: answerExtenders(false)
            default: break
            }
        }
    }

    private func publishTrust(_ machine: LockMachine) { state.withLock { $0.trustUntil = machine.trustUntil } }

    private func act(_ action: LockMachine.Action) async -> LockMachine.Event? {
        switch action {
        case .askEpoch:
            guard let epoch = try? await lock.epochSource(name) else { return .epochFailed }
            return .epochIssued(epoch)
        case .create(let epoch):
            let startedAt = MonotonicClock.now()
            guard let key = try? key(epoch), let revision = try? await lock.bucket.create(key, value(renewals: 0))
            else { return .createFailed }
            return .created(revision: revision, startedAt: startedAt)
        case .renew(let holding): return await renew(holding)
        case .delete(let epoch, let revision):
            // Should it fail, the key is not renewed any more, and counts as silent.
            if let key = try? key(epoch) { _ = try? await lock.bucket.delete(key, revision: revision) }
            return nil
        case .acquired(let epoch):
            let waiter = state.withLock { state in
                state.epoch = epoch
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: LockToken(name: name, epoch: epoch, session: self))
            return nil
        case .lost: return nil
        }
    }

    private func renew(_ holding: LockMachine.Holding) async -> LockMachine.Event {
        let startedAt = MonotonicClock.now()
        guard let key = try? key(holding.epoch) else { return .renewRefused }
        do throws(NATSError) {
            let revision = try await lock.bucket.update(
                key, value(renewals: holding.renewals), revision: holding.revision)
            return .renewed(revision: revision, startedAt: startedAt)
        } catch {
            guard error.code == .conflict else { return .renewUnknown }
            // An earlier renewal without an answer may have been stored: this key has no other writer.
            let entry: BucketEntry?
            do throws(NATSError) { entry = try await lock.bucket.get(key) } catch { return .renewUnknown }
            guard let entry, LockValue(entry.value)?.owner == lock.owner else { return .renewRefused }
            // Only the revision is learnt; the trust stays as it was until the next renewal is confirmed.
            return .renewed(revision: entry.revision, startedAt: startedAt - lock.lease.nanoseconds)
        }
    }

    private func finish() {
        feed.finish()
        let (waiter, enders) = state.withLock { state in
            state.isEnded = true
            state.trustUntil = nil
            state.task = nil
            defer {
                state.waiter = nil
                state.enders = [:]
            }
            return (state.waiter, Array(state.enders.values))
        }
        waiter?.resume(returning: nil)
        for ender in enders { ender.resume() }
        answerExtenders(false)
    }

    private func key(_ epoch: Int64) throws(NATSError) -> BucketKey { try BucketKey("role.\(name).\(epoch)") }

    private func value(renewals: Int) -> [UInt8] {
        let milliseconds = lock.lease.nanoseconds / 1_000_000
        return LockValue(owner: lock.owner, renewals: renewals, leaseMilliseconds: milliseconds).encoded(since: since)
    }

    /// For people to read in the bucket only.
    private static func wallTime() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let length = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
