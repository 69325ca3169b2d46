import Glibc
import Synchronization

/// All outstanding requests of a connection over one wildcard inbox, with time-outs on the monotonic clock.
final class RequestMux: ConnectionObserver {
    typealias Answer = Result<NATSMessage, NATSError>

    private struct Pending {
        let continuation: CheckedContinuation<Answer, Never>
        let deadline: Int64
    }

    private struct State {
        var next: UInt64 = 1
        var pending: [UInt64: Pending] = [:]
        /// No pending request has an earlier deadline; may be too early, never too late.
        var earliest = Int64.max
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Ends with a dot; the request's number follows.
    private let prefix: String

    init(inbox: String) { prefix = inbox + ".r." }

    var filter: String { prefix + "*" }

    /// Registers a request and gives it to `send` with its reply subject.
    func request(timeout: Duration, send: (Subject) throws(NATSError) -> Void) async -> Answer {
        let deadline = MonotonicClock.now() + timeout.nanoseconds
        let number = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isClosed = state.withLock { state in
                    if state.isClosed { return true }
                    state.pending[number] = Pending(continuation: continuation, deadline: deadline)
                    state.earliest = min(state.earliest, deadline)
                    return false
                }
                if isClosed {
                    continuation.resume(returning: .failure(.connectionClosed))
                    return
                }
                do throws(NATSError) {
                    try send(Subject(prefix + String(number, radix: 36)))
                } catch {
                    resolve(number, .failure(error))
                }
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: UInt64) {
        resolve(number, .failure(NATSError(.cancelled, "The task that asked was cancelled.")))
    }

    private func resolve(_ number: UInt64, _ answer: Answer) {
        let pending = state.withLock { $0.pending.removeValue(forKey: number) }
        pending?.continuation.resume(returning: answer)
    }

    /// On libnats' delivery thread.
    func receive(_ message: borrowing IncomingMessage) {
        let subject = message.subject
        guard subject.count > prefix.utf8.count else { return }
        let token = UnsafeRawBufferPointer(rebasing: subject[prefix.utf8.count...])
        guard let number = UInt64(String(validating: token), radix: 36) else { return }
        if message.isNoResponders {
            resolve(number, .failure(NATSError(.noResponders, "Nobody listens on the subject asked.")))
        } else {
            resolve(number, .success(NATSMessage(copying: message)))
        }
    }

    func tick(_ now: Int64) {
        let expired: [Pending] = state.withLock { state in
            guard state.earliest <= now else { return [] }
            let numbers = state.pending.filter { $0.value.deadline <= now }.map(\.key)
            let expired = numbers.compactMap { state.pending.removeValue(forKey: $0) }
            state.earliest = state.pending.values.map(\.deadline).min() ?? .max
            return expired
        }
        for pending in expired {
            pending.continuation.resume(
                returning: .failure(NATSError(.timeout, "No reply came within the time limit.")))
        }
    }

    func linkWasLost() {
        failAll(NATSError(.connectionLost, "The connection was lost while a reply was awaited."), closing: false)
    }

    func connectionWasClosed() { failAll(.connectionClosed, closing: true) }

    private func failAll(_ error: NATSError, closing: Bool) {
        let all = state.withLock { state in
            if closing { state.isClosed = true }
            defer { state.pending.removeAll() }
            return Array(state.pending.values)
        }
        for pending in all { pending.continuation.resume(returning: .failure(error)) }
    }
}

extension NATSError {
    static let connectionClosed = NATSError(.closed, "The connection was closed by this program.")
}
