import JSONText
import SchedulerCore
import SchedulerStore

/// How full the limits are that schedules share, as replies tell it.
struct ConcurrencyUse: Sendable {
    /// Limits that a reply names; those for which most wait come first.
    static let most = 100

    /// Of a namespace's own limits the key alone.
    let names: ConcurrencyNames
    let open: Int64
    let waiting: Int64
    /// Nil where nobody bounds it any more.
    let places: Int?

    /// - Parameter names: what the reply calls it.
    init(_ use: ConcurrencyTable.Use, as names: ConcurrencyNames? = nil, places: Int?) {
        self.names = names ?? use.names
        open = use.open
        waiting = use.waiting
        self.places = places
    }

    /// Of a namespace's keys.
    static func lines(_ use: [ConcurrencyTable.Use], of limits: NamespaceLimits) -> [ConcurrencyUse] {
        use.map { use in
            let key = String((use.names.key ?? "").drop { $0 != "/" }.dropFirst())
            return ConcurrencyUse(
                use, as: ConcurrencyNames(key: key), places: limits.concurrency[key] ?? ConcurrencyLimits.usual)
        }
    }
}

extension NamespaceLimits {
    /// The keys whose places another version of the limits changes.
    func changedKeys(to other: NamespaceLimits, of namespace: Namespace) -> [ConcurrencyNames] {
        Set(concurrency.keys).union(other.concurrency.keys).filter { concurrency[$0] != other.concurrency[$0] }
            .map { ConcurrencyNames(key: ConcurrencyNames.prefix(of: namespace.description) + $0) }
    }
}

extension JSONWriter {
    /// `concurrency_use`: the limits of which a place is held or waited for.
    mutating func concurrencyUse(_ lines: [ConcurrencyUse]) {
        name("concurrency_use")
        array { writer in
            for line in lines {
                writer.object { writer in
                    writer.member("concurrency_key", ifPresent: line.names.key)
                    writer.member("target", ifPresent: line.names.target)
                    writer.member("places", ifPresent: line.places)
                    writer.member("open", line.open)
                    writer.member("waiting", line.waiting)
                }
            }
        }
    }
}
