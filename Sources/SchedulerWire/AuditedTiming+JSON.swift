import JSONText
import Recurrence
package import SchedulerCore

extension AuditedTiming {
    /// Reads what the audit log holds of a schedule, before or after a change; nil where that is none, or cannot be read
    /// any more.
    package static func read(_ bytes: [UInt8]) -> AuditedTiming? {
        guard let value = try? JSONValue.parse(bytes, limits: JSONLimits(maxDepth: 80, maxBytes: 16 << 20)),
            let unnamed = try? ScheduleName("unnamed")
        else { return nil }
        var body = BodyReader(value)
        let state = body.choice("state", of: ScheduleState.self)
        let runCount = body.integer("run_count", in: 0...Int64.max)
        // Its local times were resolved when they were accepted, and what was accepted is not judged again.
        var reader = DefinitionReader(body, defaults: DefinitionDefaults(), zones: { _ in .utc })
        let read = reader.read(onto: nil, idName: unnamed)
        guard let state, let runCount, let name = read.name, let timing = read.timing else { return nil }
        return AuditedTiming(name: name, timing: timing, state: state, runCount: runCount)
    }
}
