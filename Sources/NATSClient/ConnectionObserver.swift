import Synchronization

/// What hangs on a connection and must hear of its troubles. Called on libnats' callback thread or the metronome:
/// nothing here may block.
protocol ConnectionObserver: AnyObject, Sendable {
    /// Whatever was on its way may be lost.
    func linkWasLost()
    /// The server refused to take a publish on `subject`.
    func publishWasForbidden(on subject: String)
    /// Every ``Metronome/period``; `now` is the monotonic clock in nanoseconds.
    func tick(_ now: Int64)
    /// Nothing will ever come again.
    func connectionWasClosed()
}

extension ConnectionObserver {
    func publishWasForbidden(on subject: String) {}
}

final class ObserverList: Sendable {
    private struct Weak {
        weak var observer: (any ConnectionObserver)?
    }

    private let list = Mutex<[Weak]>([])

    func add(_ observer: any ConnectionObserver) {
        list.withLock { list in
            list.removeAll { $0.observer == nil }
            list.append(Weak(observer: observer))
        }
    }

    func tell(_ body: (any ConnectionObserver) -> Void) {
        for observer in list.withLock({ $0.compactMap(\.observer) }) { body(observer) }
    }
}

/// The thread that lets time pass for a connection: time-outs of requests and publishes.
enum Metronome {
    /// Time-outs are late by at most this.
    static let period: Duration = .milliseconds(20)

    /// Ticks until `isDone` says true.
    static func start(
        _ observers: ObserverList, isDone: @escaping @Sendable () -> Bool
    ) throws(NATSError) {
        let pause = Monitor(())
        try OwnThread.start("nats-metronome") {
            while !isDone() {
                let _: Void? = pause.wait(atMost: period.nanoseconds) { _ in nil }
                let now = MonotonicClock.now()
                observers.tell { $0.tick(now) }
            }
        }
    }
}
