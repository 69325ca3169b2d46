import Synchronization

/// Lets tasks wait for word from threads and other tasks, or for a time, whichever comes first. A word wakes one of
/// them; given while nobody waits, it ends the next wait at once.
package final class Wakeup: Sendable {
    private struct State {
        var isSet = false
        var waiters: [(turn: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var cancelled: Set<Int> = []
        var turn = 0
    }

    private let state = Mutex(State())

    package init() {}

    package func signal() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiters.isEmpty else {
                state.isSet = true
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        waiter?.resume()
    }

    /// Waits for a signal, for `limit` at most, or until the task is cancelled.
    package func wait(atMost limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(for: limit) }
            group.addTask { await self.waitForSignal() }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForSignal() async {
        let turn = state.withLock { state in
            state.turn += 1
            return state.turn
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.cancelled.remove(turn) != nil { return true }
                    if state.isSet {
                        state.isSet = false
                        return true
                    }
                    state.waiters.append((turn, continuation))
                    return false
                }
                if isOver { continuation.resume() }
            }
            state.withLock { _ = $0.cancelled.remove(turn) }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard let index = state.waiters.firstIndex(where: { $0.turn == turn }) else {
                    state.cancelled.insert(turn)
                    return nil
                }
                return state.waiters.remove(at: index).continuation
            }
            waiter?.resume()
        }
    }
}

/// Something that happens once and stays so.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func signal() { value.store(true, ordering: .relaxed) }
}
