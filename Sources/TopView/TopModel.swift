package import JSONText
package import Recurrence

/// What `carillon top` knows: the answers of `admin.system.status` and `members`, the events since it listens, and how the
/// connection is. Pure; who feeds it says what time it is.
package struct TopModel: Sendable {
    /// A trouble, since when, and why.
    package struct Trouble: Hashable, Sendable {
        package let since: Instant
        package let reason: String
    }

    /// What one instance said of itself.
    struct Member: Hashable, Sendable {
        var name = ""
        var partitions: Int64 = 0
        /// `held` or `silent`.
        var lease = "held"
        var answer: Answer?

        struct Answer: Hashable, Sendable {
            let at: Instant
            let isReady: Bool
            let inFlight: Int64
            let due: Int64
            let unanswered: Int64
            let owed: Int64
            let clockSkew: Int64
        }
    }

    /// What the database says, whoever answers.
    struct Stored: Hashable, Sendable {
        let overdue: Int64
        let claims: Int64
        let waiting: Int64
        let outbox: Int64
        let submitted: Int64?
        let freezes: Int
        let schedules: [String: Int64]
    }

    /// An answer of an instance counts for so long: with several of them a question reaches each now and then.
    static let answerLife: Int64 = 20_000
    private static let mostEvents = 200

    let server: String
    let prefix: String
    let began: Instant
    private(set) var lost: Trouble?
    private(set) var silence: Trouble?
    private(set) var answeredAt: Instant?
    private(set) var reasons: [String] = []
    private(set) var warnings: [String] = []
    private(set) var stored: Stored?
    private(set) var members: [String: Member] = [:]
    private(set) var window = FireWindow()
    /// The newest last.
    private(set) var routine: [TopEvent] = []
    private(set) var notable: [TopEvent] = []
    /// Why events may be missing.
    private(set) var deafness: String?

    /// - Parameters:
    ///   - server: where it is connected to, for people.
    ///   - prefix: the first token of all subjects.
    package init(server: String, prefix: String, now: Instant) {
        self.server = server.terminalSafe
        self.prefix = prefix
        began = now
    }

    /// Whether anybody has ever answered.
    package var isAnswered: Bool { answeredAt != nil }

    // MARK: The connection

    package mutating func connectionWasLost(_ reason: String, at now: Instant) {
        let reason = reason.terminalSafe
        lost = Trouble(since: lost?.since ?? now, reason: reason.isEmpty ? lost?.reason ?? "" : reason)
    }

    package mutating func connectionIsBack() { lost = nil }

    package mutating func cannotHear(_ reason: String) { deafness = reason.terminalSafe }

    // MARK: Answers

    package mutating func wasNotAnswered(_ reason: String, at now: Instant) {
        silence = Trouble(since: silence?.since ?? now, reason: reason.terminalSafe)
    }

    /// - Parameter reply: of `admin.system.status`.
    package mutating func take(status reply: JSONValue, at now: Instant) {
        guard let system = reply["system"] else {
            return wasNotAnswered(reply["error"]?["description"]?.string ?? "an answer without a status", at: now)
        }
        silence = nil
        answeredAt = now
        let isReady = system["ready"]?.bool ?? false
        reasons = isReady ? [] : Self.texts(system, "reasons")
        warnings = Self.texts(system, "warnings")
        if let overdue = system["overdue"]?.int64 { stored = Stored(system, overdue: overdue) }
        guard let instance = system["instance"]?.string else { return }
        let shares = (system["members"].map { Array($0.elements) } ?? []).compactMap { member in
            member["instance"]?.string.map { ($0, member["partitions"]?.int64 ?? 0) }
        }
        take(shares: shares)
        members[instance, default: Member()].name = (system["instance_name"]?.string ?? "").terminalSafe
        func number(_ name: String) -> Int64 { system[name]?.int64 ?? 0 }
        members[instance]?.answer = Member.Answer(
            at: now, isReady: isReady, inFlight: number("in_flight"), due: number("due_waiting"),
            unanswered: number("unanswered"), owed: number("events_owed"), clockSkew: number("clock_skew_ms"))
    }

    /// - Parameter reply: of `admin.system.members`.
    package mutating func take(members reply: JSONValue) {
        guard let listed = reply["members"] else { return }
        for member in listed.elements {
            guard let instance = member["instance"]?.string else { continue }
            members[instance, default: Member()].name = (member["name"]?.string ?? "").terminalSafe
            members[instance]?.lease = (member["lease"]?.string ?? "?").terminalSafe
            members[instance]?.partitions = member["partitions"]?.int64 ?? 0
        }
        let known = Set(listed.elements.compactMap { $0["instance"]?.string })
        members = members.filter { known.contains($0.key) }
    }

    /// What one member sees of the others: who is not among them has no share.
    private mutating func take(shares: [(instance: String, partitions: Int64)]) {
        for (instance, partitions) in shares {
            members[instance, default: Member()].partitions = partitions
            members[instance]?.lease = "held"
        }
        let seen = Set(shares.map(\.instance))
        for instance in members.keys where !seen.contains(instance) { members[instance]?.partitions = 0 }
    }

    private static func texts(_ value: JSONValue, _ name: String) -> [String] {
        (value[name].map { Array($0.elements) } ?? []).compactMap { $0.string?.terminalSafe }
    }

    // MARK: Events

    package mutating func take(event: JSONValue, at now: Instant) {
        guard let event = TopEvent(event, at: now) else { return }
        window.add(event)
        // What goes well comes in a flood: it does not wash away what matters.
        if event.weight == .routine {
            Self.keep(event, in: &routine)
        } else {
            Self.keep(event, in: &notable)
        }
    }

    private static func keep(_ event: TopEvent, in events: inout [TopEvent]) {
        events.append(event)
        // A portion at a time, so that not each costs a move of all.
        if events.count > 2 * mostEvents { events.removeFirst(mostEvents) }
    }

    /// The newest first: of what is notable half of the places at least, if there is so much.
    func recent(_ places: Int) -> [TopEvent] {
        guard places > 0 else { return [] }
        let kept = min(notable.count, max(places - routine.count, (places + 1) / 2))
        let shown = routine.suffix(places - kept) + notable.suffix(kept)
        return shown.enumerated().sorted { ($0.element.at, $0.offset) > ($1.element.at, $1.offset) }.map(\.element)
    }
}

extension TopModel.Stored {
    fileprivate init(_ system: JSONValue, overdue: Int64) {
        self.overdue = overdue
        claims = system["claims"]?.int64 ?? 0
        waiting = system["waiting"]?.int64 ?? 0
        outbox = system["outbox_pending"]?.int64 ?? 0
        submitted = system["commands_pending"]?.int64
        freezes = system["freezes"]?.count ?? 0
        schedules = Dictionary(
            (system["schedules"].map { Array($0.members) } ?? []).map { ($0.name, $0.value.int64 ?? 0) },
            uniquingKeysWith: { $1 })
    }
}
