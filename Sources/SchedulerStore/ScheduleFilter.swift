package import Recurrence
package import SchedulerCore

/// In which order a list shows schedules; `-` in front turns it round.
package enum ScheduleSort: String, Sendable, CaseIterable {
    /// The order of their ids.
    case createdAt = "created_at"
    case createdAtDescending = "-created_at"
    /// Bytewise.
    case name
    case nameDescending = "-name"
    /// Only of those that have a next fire.
    case nextFireAt = "next_fire_at"
    case nextFireAtDescending = "-next_fire_at"

    enum Field {
        case id
        case name
        case nextFireAt
    }

    var field: Field {
        switch self {
        case .createdAt, .createdAtDescending: .id
        case .name, .nameDescending: .name
        case .nextFireAt, .nextFireAtDescending: .nextFireAt
        }
    }

    var isDescending: Bool { rawValue.hasPrefix("-") }
}

/// Which schedules a list shows, and in which order. Conditions that are empty or nil hold for all; of several, all hold.
package struct ScheduleFilter: Hashable, Sendable {
    /// Any of these.
    package var states: [ScheduleState] = []
    /// Tags of which a schedule has one at least.
    package var tags: [String] = []
    /// Tags of which a schedule has each.
    package var allTags: [String] = []
    /// A subject, or a pattern with NATS wildcards.
    package var target: SubjectPattern?
    package var namePrefix: String?
    /// Due earlier than this.
    package var dueBefore: Instant?
    package var sort = ScheduleSort.createdAt
    /// Where the last page ended.
    package var after: ScheduleKey?
    /// 1 to 1000.
    package var limit = 100

    package init() {}

    /// Whether it holds for every schedule.
    package var isEmpty: Bool {
        states.isEmpty && tags.isEmpty && allTags.isEmpty && target == nil && namePrefix == nil && dueBefore == nil
    }

    /// What tells the cursors of two lists apart: another sort or another condition is another list.
    package var fingerprint: String {
        let parts = [
            states.map(\.rawValue).joined(separator: ","), tags.joined(separator: ","),
            allTags.joined(separator: ","), target?.description ?? "", namePrefix ?? "",
            dueBefore.map { String($0.milliseconds) } ?? "", sort.rawValue,
        ]
        // No part holds a line's end.
        return String(Digest.stableNumber(of: parts.joined(separator: "\n")), radix: 16)
    }
}

/// A place in the order of a list: that of the last schedule that was looked at.
package struct ScheduleKey: Hashable, Sendable {
    let id: UUIDValue
    /// In the order of names.
    var name = ""
    /// In the order of next fires.
    var nextFireAt = Instant(milliseconds: 0)

    /// Times beyond which no schedule's lie, and which PostgreSQL can tell: the years 1 to 9999.
    static let times = Instant(milliseconds: -62_135_596_800_000)...Instant(milliseconds: 253_402_300_799_999)
    private static let uuids = (
        first: UUIDValue(high: 0, low: 0), last: UUIDValue(high: UInt64.max, low: UInt64.max)
    )

    /// The bounds that all schedules lie between that a filter's sort can find, exclusive.
    static func bounds(of filter: ScheduleFilter) -> (low: ScheduleKey, high: ScheduleKey) {
        let prefix = filter.namePrefix ?? ""
        // Names are ASCII: none that begins with the prefix comes after it with a DEL.
        let low = ScheduleKey(id: uuids.first, name: prefix, nextFireAt: times.lowerBound)
        var high = ScheduleKey(id: uuids.last, name: prefix + "\u{7F}", nextFireAt: times.upperBound)
        if filter.sort.field == .nextFireAt, let due = filter.dueBefore {
            high = ScheduleKey(id: uuids.first, nextFireAt: min(due, times.upperBound))
        }
        guard let after = filter.after else { return (low, high) }
        return filter.sort.isDescending ? (low, after) : (after, high)
    }

    init(id: UUIDValue, name: String = "", nextFireAt: Instant = Instant(milliseconds: 0)) {
        self.id = id
        self.name = name
        self.nextFireAt = nextFireAt
    }
}

extension ScheduleFilter {
    /// What requesters get as a cursor: opaque to them, and good for the same list only.
    package func cursor(_ key: ScheduleKey) -> String {
        [fingerprint, ScheduleID(key.id).description, String(key.nextFireAt.milliseconds), key.name]
            .joined(separator: "~")
    }

    /// Nil where the text is no cursor of this list.
    package func key(ofCursor text: String) -> ScheduleKey? {
        let parts = text.split(separator: "~", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == fingerprint, let id = UUIDValue(text: parts[1]),
            let milliseconds = Int64(parts[2]), parts[3].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let time = Instant(milliseconds: milliseconds)
        guard ScheduleKey.times.contains(time) else { return nil }
        return ScheduleKey(id: id, name: parts[3], nextFireAt: time)
    }
}
