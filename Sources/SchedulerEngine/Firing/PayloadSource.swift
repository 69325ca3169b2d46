import JSONSchema
package import PayloadTemplates
package import Recurrence
package import SchedulerCore

/// A schedule's payload: bytes that go out as they are, or a template that is rendered for each fire.
package struct PayloadSource: Sendable {
    package let stored: [UInt8]
    private let template: PayloadTemplate?
    package let common: FireValues.Common

    /// - Parameter isTemplate: the payload's strings are templates.
    package init(
        _ stored: [UInt8], isTemplate: Bool, common: @autoclosure () -> FireValues.Common
    ) throws(PayloadTemplate.Refusal) {
        self.stored = stored
        guard isTemplate else {
            template = nil
            self.common = FireValues.Common()
            return
        }
        self.common = common()
        template = try PayloadTemplate(
            stored, metadata: self.common.metadata.map(\.name), hasEvent: self.common.hasEvent)
    }

    package var isTemplate: Bool { template != nil }

    /// No fire carries more.
    package var mostBytes: Int { template?.mostBytes(common) ?? stored.count }

    package func bytes(for values: FireValues) -> [UInt8] { template?.render(values) ?? stored }

    /// What a fire of the schedule's own would carry at `instant`.
    package func sample(trigger: Trigger, at instant: Instant) -> [UInt8] {
        guard let template else { return stored }
        var values = FireValues(common, scheduledFor: instant, dueAt: instant)
        values.executionID = ExecutionID.sample
        values.trigger = trigger.rawValue
        return template.render(values)
    }
}

extension ExecutionID {
    /// As long as any.
    fileprivate static let sample = "00000000-0000-8000-8000-000000000000"
}

extension FireValues.Common {
    /// - Parameter zone: the rules of the timing's zone.
    package init(
        id: ScheduleID, namespace: Namespace, name: ScheduleName, target: TargetSubject, timezone: String,
        zone: ZoneRules, metadata: [UserHeader]
    ) {
        self.init()
        scheduleID = id.description
        scheduleName = name.description
        self.namespace = namespace.description
        targetCommand = target.description
        self.timezone = timezone
        self.zone = zone
        self.metadata = metadata.map { ($0.name, $0.value) }
    }

    /// A zone that cannot be read is a fault of the timing, and told there.
    init(_ schedule: Schedule, zones: ZoneLookup) {
        let definition = schedule.definition
        self.init(
            id: schedule.id, namespace: schedule.namespace, name: definition.name, target: definition.target,
            timezone: definition.timing.timezone, zone: (try? zones(definition.timing.timezone)) ?? .utc,
            metadata: definition.metadata)
        hasEvent = definition.timing.type == .event
    }
}

extension FireValues {
    init(
        _ common: Common, id: ExecutionID, attempt: Int32, fence: Int64, trigger: Trigger, missedCount: Int64,
        scheduledFor: Instant, dueAt: Instant
    ) {
        self.init(common, scheduledFor: scheduledFor, dueAt: dueAt)
        executionID = id.description
        self.attempt = attempt
        self.fence = fence
        self.trigger = trigger.rawValue
        self.missedCount = missedCount
    }
}

/// The payloads of a schedule's fires, and what the target's schemas say of them.
package struct CompiledPayload: Sendable {
    /// Nil where its template cannot be rendered, which is a fault.
    private let source: PayloadSource?
    private let stored: [UInt8]
    /// The rules that allow the target; none where nothing does.
    private let rules: [TargetRule]
    private let isTemplate: Bool
    private let common: FireValues.Common

    /// Judged once for all fires, but for what templates make of each.
    /// - Parameter faults: takes what keeps the schedule from being fired.
    init(_ schedule: Schedule, zones: ZoneLookup, rules: TargetRules, _ faults: inout [ScheduleFault]) {
        let definition = schedule.definition
        stored = definition.payload
        isTemplate = definition.payloadTemplate
        let common = isTemplate ? FireValues.Common(schedule, zones: zones) : FireValues.Common()
        self.common = common
        var source: PayloadSource?
        do { source = try PayloadSource(stored, isTemplate: isTemplate, common: common) } catch {
            faults.append(ScheduleFault(.target(.payloadInvalid), "the payload's template: \(error)"))
        }
        self.source = source
        var allowing: [TargetRule] = []
        if definition.timing.isListening { Self.checkSource(of: schedule, rules, &faults) }
        guard definition.firesCommand else {
            self.rules = []
            return
        }
        do {
            allowing = try rules.check(
                definition.target, delivery: definition.delivery, payloadBytes: source?.mostBytes ?? stored.count,
                for: schedule.namespace)
        } catch {
            faults.append(ScheduleFault(.target(error.code), error.description))
        }
        self.rules = allowing
        guard let source, !allowing.isEmpty else { return }
        let sample = source.sample(trigger: definition.timing.trigger, at: schedule.updatedAt)
        if let problem = allowing.payloadProblems(sample).first {
            faults.append(
                ScheduleFault(.target(.payloadInvalid), "the payload does not satisfy the target's schema: \(problem)"))
        }
    }

    private static func checkSource(of schedule: Schedule, _ rules: TargetRules, _ faults: inout [ScheduleFault]) {
        let definition = schedule.definition
        guard let subject = definition.timing.event.subject else { return }
        do {
            try rules.check(
                source: subject, target: definition.firesCommand ? definition.target : nil, for: schedule.namespace)
        } catch {
            faults.append(ScheduleFault(.target(error.code), error.description))
        }
    }

    /// What one fire carries in place of the stored payload, if anything, and what is wrong with that.
    /// - Parameters:
    ///   - own: what a trigger brought; a template, if the schedule's payload is one.
    ///   - values: asked for where something is rendered.
    func carried(
        _ own: [UInt8]?, _ values: (FireValues.Common) -> FireValues
    ) -> (payload: [UInt8]?, problems: [SchemaProblem]) {
        guard isTemplate || own != nil else { return (nil, []) }
        guard isTemplate else { return (own, own.map(rules.payloadProblems) ?? []) }
        // It is no payload that was brought, but the message that the schedule's own is rendered with.
        if common.hasEvent, let event = own.flatMap({ EventValues(json: $0) }), let source {
            var values = values(common)
            values.event = event
            let bytes = source.bytes(for: values)
            return (bytes, rules.payloadProblems(bytes))
        }
        do throws(PayloadTemplate.Refusal) {
            let source =
                try own.map { own throws(PayloadTemplate.Refusal) in
                    try PayloadSource(own, isTemplate: true, common: common)
                } ?? self.source
            guard let bytes = source?.bytes(for: values(common)) else { return (own, []) }
            return (bytes, rules.payloadProblems(bytes))
        } catch {
            return (own, error.problems.map { SchemaProblem($0.pointer, $0.message) })
        }
    }
}

extension CompiledSchedule {
    /// The hash of what an execution carried, as its event tells it, or would have in shadow. Another skipped one carried
    /// nothing: then that of the payload as it is stored.
    func payloadSHA256(of execution: Execution, own: [UInt8]?) -> String {
        guard execution.state != .skipped || execution.reason == SkipReason.shadow.rawValue,
            let carried = carried(by: execution, own: own)
        else { return payloadSHA256 }
        return Digest.hexadecimal(Digest.sha256(carried))
    }

    /// What an execution carries with its current attempt.
    func payload(of execution: Execution, own: [UInt8]?) -> [UInt8] { carried(by: execution, own: own) ?? payload }

    /// What it carries in place of the payload as it is stored, if anything.
    private func carried(by execution: Execution, own: [UInt8]?) -> [UInt8]? {
        let carried = payloads.carried(own) { common in
            FireValues(
                common, id: execution.id, attempt: execution.attempt, fence: execution.fence,
                trigger: execution.trigger, missedCount: execution.missedCount,
                scheduledFor: execution.scheduledFor, dueAt: execution.dueAt)
        }
        return carried.payload
    }
}
