import JSONText
package import Recurrence
package import SchedulerCore
import SchedulerWire

/// Checks definitions as far as nobody needs to be asked: fields, values, and timings. The service knows more: which
/// targets a namespace may use, its calendars and limits, and which names are taken.
package struct DefinitionCheck: Sendable {
    private let zones: ZoneLookup
    private let now: Instant

    /// - Parameter now: the time that nothing may fire before.
    package init(zones: @escaping ZoneLookup, now: Instant) {
        self.zones = zones
        self.now = now
    }

    /// What is wrong with a definition of a file.
    package func problems(of item: FileItem) -> [FileProblem] {
        let base = item.pointer.description
        guard let value = try? JSONValue.parse(item.body, limits: JSONLimits(maxDepth: 64, maxBytes: 64 << 20)) else {
            return [item.problem(item.pointer, "expected a definition that can be written as JSON")]
        }
        var body = BodyReader(value, at: base)
        _ = body.bool("paused")
        var defaults = DefinitionDefaults()
        // The service's own ceiling is not known here.
        defaults.mostInFlight = .max
        var reader = DefinitionReader(body, defaults: defaults, zones: zones)
        guard let name = try? ScheduleName("unnamed") else { return [] }
        let read = reader.read(onto: nil, idName: name)
        body = read.body
        if let timing = read.timing { check(timing, of: item, read.name ?? name, &body) }
        do throws(WireError) { try body.finish() } catch {
            return error.details.map { problem($0, of: item, value) }
        }
        return []
    }

    private func check(_ timing: Timing, of item: FileItem, _ name: ScheduleName, _ body: inout BodyReader) {
        let key = "\(item.namespace?.description ?? "")/\(name)"
        do throws(TimingError) {
            let source = try timing.source(anchor: now, hash: Digest.stableNumber(of: key), zones: zones)
            guard timing.type != .once, timing.firstOccurrence(of: source, now: now) == nil else { return }
            body.report("schedule_type", "has no occurrence after now within its bounds", as: .neverFires)
        } catch {
            if !body.hasProblem(error.field) { body.report(error.field, error.description, as: .invalidTiming) }
        }
    }

    private func problem(_ detail: WireError.Detail, of item: FileItem, _ value: JSONValue) -> FileProblem {
        var message = detail.message
        let kind = item.document.value[detail.pointer]?.kind
        if message.hasPrefix("expected a string"), kind == .number || kind == .bool {
            message += ": write it in quotes"
        }
        return item.problem(detail.pointer, message)
    }
}
