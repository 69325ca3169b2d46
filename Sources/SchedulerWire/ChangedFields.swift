package import JSONText
import SchedulerCore

/// One field that a change sets, as replies tell it; of a schedule what a creator says, and the state.
package struct ChangedField: Sendable, Equatable {
    package let name: String
    /// JSON; nil where the field was not there.
    package let from: [UInt8]?
    package let to: [UInt8]?

    /// What differs between two states of a schedule. Of one that is created or deleted that is the state alone: the
    /// reply shows the whole.
    package static func between(_ before: ScheduleView?, _ after: ScheduleView) -> [ChangedField] {
        guard let before else { return [ChangedField("state", from: nil, to: stateText(after))] }
        let (old, new) = (members(of: before.schedule), members(of: after.schedule))
        let known = Set(old.map(\.name))
        // In the order of a reply, what is new last.
        let names = old.map(\.name) + new.map(\.name).filter { !known.contains($0) }
        let (from, to) = (Dictionary(old, uniquingKeysWith: { $1 }), Dictionary(new, uniquingKeysWith: { $1 }))
        return names.filter { from[$0] != to[$0] }.map { ChangedField($0, from: from[$0], to: to[$0]) }
    }

    /// Of the schedule, or of what else was changed.
    package var pointer: JSONPointer { JSONPointer.root.appending(name) }

    init(_ name: String, from: [UInt8]?, to: [UInt8]?) {
        self.name = name
        self.from = from
        self.to = to
    }

    private static func stateText(_ view: ScheduleView) -> [UInt8] { Array("\"\(view.schedule.state.rawValue)\"".utf8) }

    private static func members(of schedule: Schedule) -> [(name: String, value: [UInt8])] {
        var writer = JSONWriter(capacity: 1024)
        writer.object { $0.said(of: schedule) }
        guard let value = try? JSONValue.parse(writer.bytes, limits: JSONLimits(maxDepth: 64)) else { return [] }
        return value.members.map { ($0.name, Array($0.value.bytes)) }
    }
}

extension JSONWriter {
    /// What a creator says of a schedule, and its state; pairs in the order of their names, which says nothing.
    fileprivate mutating func said(of schedule: Schedule) {
        member("name", schedule.definition.name.description)
        member("state", schedule.state.rawValue)
        member("pause_reason", ifPresent: schedule.pauseReason)
        member("paused_until", ifPresent: schedule.state == .paused ? schedule.pausedUntil : nil)
        definition(schedule.definition.inOrder)
    }

    /// `"changes":[{"pointer":"/cron_expression","from":"0 9 * * *","to":"0 8 * * *"}]`.
    /// - Parameter longest: values of more bytes are told by their length, as `from_bytes` and `to_bytes`.
    package mutating func changes(_ fields: [ChangedField], longest: Int = .max) {
        array("changes") { writer in
            for field in fields {
                writer.object { writer in
                    writer.member("pointer", field.pointer.description)
                    writer.side("from", "from_bytes", field.from, longest)
                    writer.side("to", "to_bytes", field.to, longest)
                }
            }
        }
    }

    private mutating func side(_ name: StaticString, _ length: StaticString, _ value: [UInt8]?, _ longest: Int) {
        guard let value else { return nullMember(name) }
        if value.count > longest { member(length, value.count) } else { member(name, raw: value) }
    }
}
