import CNATS
import Glibc
import Synchronization

extension NATSConnection {
    /// Waits until the server has processed everything published before.
    ///
    /// - Parameter since: the epoch of the first publish that shall be confirmed, as `publish` returned it. libnats
    ///   says a flush went well even if the connection was lost and found between publish and flush; with this it is
    ///   an error. nil: the present epoch, which proves nothing about publishes made before a reconnect already seen.
    /// - Throws: `.connectionLost` when a reconnect lies between, `.timeout` (late by at most 20 ms), `.disconnected`.
    package func flush(
        since: ConnectionEpoch? = nil, timeout: Duration = .seconds(5)
    ) async throws(NATSError) {
        let since = since ?? epoch
        let deadline = MonotonicClock.now() + timeout.nanoseconds
        let result: Result<Void, NATSError> = await withCheckedContinuation { continuation in
            let isClosing = supervision.update { state in
                if state.isClosing { return true }
                state.flushes[state.nextFlush] = Supervision.Flush(
                    continuation: continuation, since: since, deadline: deadline)
                state.nextFlush += 1
                return false
            }
            if isClosing { continuation.resume(returning: .failure(.connectionClosed)) }
        }
        try result.get()
    }

    /// One PING for all who wait. On the supervisor's thread.
    func flushOnce() {
        let (numbers, earliest) = supervision.read { state in
            (Array(state.flushes.keys), state.flushes.values.map(\.deadline).min() ?? 0)
        }
        guard let link = current.withLock({ $0.link }) else {
            return finishFlushes(numbers) { _ in .failure(NATSError(.disconnected, "There is no link to a server.")) }
        }
        let left = Duration.nanoseconds(max(1_000_000, earliest - MonotonicClock.now()))
        let status = natsConnection_FlushTimeout(link.pointer, left.libraryMilliseconds)
        switch status {
        case NATS_OK:
            let epoch = link.epoch
            finishFlushes(numbers) { flush in
                if flush.since < epoch {
                    return .failure(
                        NATSError(.connectionLost, "The connection was lost between the publish and the flush."))
                }
                return .success(())
            }
        case NATS_TIMEOUT:
            // Who is out of time is told by the metronome; the others wait for the next round.
            break
        default:
            finishFlushes(numbers) { _ in .failure(.library(status, "Flushing")) }
        }
    }

    private func finishFlushes(
        _ numbers: [UInt64], _ result: (Supervision.Flush) -> Result<Void, NATSError>
    ) {
        Self.finishFlushes(supervision, numbers, result)
    }

    private static func finishFlushes(
        _ supervision: Monitor<Supervision>, _ numbers: [UInt64],
        _ result: (Supervision.Flush) -> Result<Void, NATSError>
    ) {
        let flushes = supervision.read { state in numbers.compactMap { state.flushes.removeValue(forKey: $0) } }
        for flush in flushes { flush.continuation.resume(returning: result(flush)) }
    }

    func failFlushes() {
        finishFlushes(supervision.read { Array($0.flushes.keys) }) { _ in
            .failure(NATSError(.connectionLost, "The link was lost while a flush was awaited."))
        }
    }

    /// Called by the metronome.
    static func expireFlushes(_ supervision: Monitor<Supervision>, _ now: Int64) {
        let late = supervision.read { state in state.flushes.filter { $0.value.deadline <= now }.map(\.key) }
        guard !late.isEmpty else { return }
        finishFlushes(supervision, late) { _ in
            .failure(NATSError(.timeout, "The server did not answer the PING within the time limit."))
        }
    }

    /// Lets the program's subscriptions deliver what has come, and asks for no more.
    ///
    /// The order of a shutdown: this, then finish what is in flight, then `flush`, then ``close()``. The inboxes of
    /// requests and acknowledgements go on until `close()`.
    package func drainSubscriptions(within limit: Duration) async {
        let entries = subscriptions.external
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            do throws(NATSError) {
                try OwnThread.start("nats-drain") {
                    for entry in entries { entry.drain(limit) }
                    continuation.resume()
                }
            } catch {
                for entry in entries { entry.cancel() }
                continuation.resume()
            }
        }
    }

    /// Flushes for at most 500 ms, closes, and fails all that is outstanding with `.closed`. Idempotent.
    package func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isClosed = supervision.update { state in
                state.isClosing = true
                if state.isClosed { return true }
                state.closers.append(continuation)
                return false
            }
            if isClosed { continuation.resume() }
        }
    }
}

/// Lets flushes expire with the metronome.
final class FlushExpiry: ConnectionObserver {
    private let expire: @Sendable (Int64) -> Void

    init(_ expire: @escaping @Sendable (Int64) -> Void) { self.expire = expire }

    func linkWasLost() {}
    func connectionWasClosed() {}
    func tick(_ now: Int64) { expire(now) }
}

/// Looks whether libnats' flusher stands still, as it does after the wall clock was set back: it waits its millisecond
/// on that clock. A flush writes the buffer in place.
struct FlusherWatch {
    static let period: Duration = .milliseconds(50)

    private var lastBuffered: Int32 = 0
    private var lastOffset: Int64?

    mutating func look(at connection: NATSConnection) {
        noteClockStep(connection)
        guard !connection.configuration.sendAsap, let link = connection.current.withLock({ $0.link }) else { return }
        let buffered = natsConnection_Buffered(link.pointer)
        defer { lastBuffered = buffered }
        // On a busy connection this can be true by chance; a PING more does no harm.
        guard buffered > 0, lastBuffered > 0, buffered >= lastBuffered else { return }
        natsConnection_FlushTimeout(link.pointer, 1000)
    }

    /// The wall clock against the monotonic one, of the same kind.
    private mutating func noteClockStep(_ connection: NATSConnection) {
        var wall = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        let offset = Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec) - MonotonicClock.now()
        defer { lastOffset = offset }
        guard let lastOffset, offset < lastOffset - 5_000_000 else { return }
        connection.supervision.update { $0.counters.clockStepsBack += 1 }
        connection.events.send(.error("The wall clock was set back by \((lastOffset - offset) / 1_000_000) ms."))
    }
}
