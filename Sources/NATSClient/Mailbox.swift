/// A bounded queue from a thread that may wait to a task that may not.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        /// Elements before this index are taken.
        var head = 0
        var taker: CheckedContinuation<Element?, Never>?
        var isFinished = false

        var count: Int { elements.count - head }

        mutating func removeFirst() -> Element? {
            guard head < elements.count else { return nil }
            let element = elements[head]
            head += 1
            if head == elements.count {
                elements.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= 1024, head * 2 >= elements.count {
                elements.removeFirst(head)
                head = 0
            }
            return element
        }
    }

    private let capacity: Int
    private let state = Monitor(State())

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { state.read { $0.count } }

    /// Waits while the mailbox is full. Must be called on a thread of libnats or our own. False after `finish()`.
    @discardableResult
    func put(_ element: Element) -> Bool {
        let capacity = capacity
        let taker: CheckedContinuation<Element?, Never>?? = state.wait { state in
            if state.isFinished { return .some(nil) }
            if let taker = state.taker {
                state.taker = nil
                return taker
            }
            if state.count >= capacity { return nil }
            state.elements.append(element)
            return .some(nil)
        }
        guard let taker = taker ?? nil else { return !isFinished }
        taker.resume(returning: element)
        return true
    }

    /// The next element; nil at the end, or when the task is cancelled. One taker at a time.
    func take() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready: Element?? = state.update { state in
                    if let element = state.removeFirst() { return element }
                    if state.isFinished || Task.isCancelled || state.taker != nil { return .some(nil) }
                    state.taker = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let taker = state.update { state in
                defer { state.taker = nil }
                return state.taker
            }
            taker?.resume(returning: nil)
        }
    }

    /// Ends the sequence after what is in it, and frees a waiting `put`.
    func finish() {
        let taker = state.update { state in
            state.isFinished = true
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume(returning: nil)
    }

    private var isFinished: Bool { state.read { $0.isFinished } }
}
