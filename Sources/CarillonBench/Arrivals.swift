import Glibc
import NATSClient
import Synchronization

/// The independent subscriber: notes when each message comes. As light as it can be, for it shares the machine with what
/// it measures: it reads a number at the front of the payload and the clock, nothing else.
final class Arrivals: Sendable {
    struct Arrival {
        /// The number in the payload: `{"n":123,…`, or -1.
        let number: Int64
        /// Microseconds since 1970.
        let at: Int64
    }

    private let arrivals: Mutex<[Arrival]>
    private let subscription = Mutex<NATSCallbackSubscription?>(nil)

    init(_ filter: String, on connection: NATSConnection, capacity: Int) throws {
        var reserved: [Arrival] = []
        reserved.reserveCapacity(capacity)
        arrivals = Mutex(reserved)
        let subscribed = try connection.subscribe(try SubjectFilter(filter), pendingLimit: 4_000_000) {
            [weak self] message in
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            let at = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
            let number = Self.number(in: message.payload)
            self?.arrivals.withLock { $0.append(Arrival(number: number, at: at)) }
        }
        subscription.withLock { $0 = subscribed }
    }

    private static func number(in payload: UnsafeRawBufferPointer) -> Int64 {
        var number: Int64 = -1
        // The floor's messages begin with an id, which may look like a number longer than any.
        guard payload.first == UInt8(ascii: "{") else { return number }
        for byte in payload.dropFirst(5) {
            guard byte >= 0x30, byte <= 0x39 else { break }
            number = max(0, number) * 10 + Int64(byte - 0x30)
        }
        return number
    }

    var count: Int { arrivals.withLock { $0.count } }
    var all: [Arrival] { arrivals.withLock { $0 } }

    func cancel() { subscription.withLock { $0 }?.cancel() }
}

/// Quantiles of a list of values.
struct Quantiles {
    private let sorted: [Int64]

    init(_ values: [Int64]) { sorted = values.sorted() }

    /// - Parameter share: 0 to 1. 0 where there are no values.
    func value(at share: Double) -> Int64 {
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }

    var least: Int64 { sorted.first ?? 0 }
    var most: Int64 { sorted.last ?? 0 }
}
