import JSONSchema
import JSONText
import PayloadTemplates
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// Whether a definition may be sent where it says: by the allow-list, by its schemas, and by its size.
extension ScheduleDefinitions {
    func checkTarget(
        _ read: DefinitionReader.Reading, of id: ScheduleID, in namespace: Namespace, _ now: Instant,
        _ body: inout BodyReader
    ) {
        let source = payload(of: read, id, namespace, &body)
        // What the largest fire carries.
        let bytes = source?.mostBytes ?? read.payload.count
        checkSource(read, in: namespace, &body)
        let isSilent = read.target == TargetSubject.none && (read.timing.map { $0.type == .absence } ?? true)
        if let target = read.target, !isSilent {
            do {
                let rules = try context.session.compiler.targetRules.check(
                    target, delivery: read.delivery, payloadBytes: bytes, for: namespace)
                let sample = source?.sample(trigger: read.timing?.trigger ?? .immediate, at: now)
                for problem in sample.map(rules.payloadProblems) ?? [] {
                    body.report("command_payload\(problem.pointer)", problem.message, as: .payloadInvalid)
                }
            } catch {
                let isTooLarge = error.code == .payloadTooLarge
                body.report(
                    isTooLarge ? "command_payload" : "target_command", error.description, as: ErrorCode(error.code))
            }
        }
        if let most = context.session.limits.limits(of: namespace).maxPayloadBytes, bytes > most {
            body.report("command_payload", context.tooLarge(bytes, most, for: namespace), as: .payloadTooLarge)
        }
        let headers = read.headers.reduce(1024) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        if bytes + headers > context.mostMessageBytes {
            let most = context.mostMessageBytes
            body.report(
                "command_payload",
                "payload and headers take \(bytes + headers) bytes, the server's max_payload is \(most)",
                as: .payloadTooLarge)
        }
    }

    private func checkSource(
        _ read: DefinitionReader.Reading, in namespace: Namespace, _ body: inout BodyReader
    ) {
        guard let timing = read.timing, timing.isListening, let subject = timing.event.subject else { return }
        let fires = read.target.map { $0 != .none || timing.type != .absence } ?? false
        do {
            try context.session.compiler.targetRules.check(
                source: subject, target: fires ? read.target : nil, for: namespace)
        } catch {
            body.report("event_subject", error.description, as: ErrorCode(error.code))
        }
    }

    /// Nil where it is a template that cannot be rendered; each string that is wrong is reported.
    private func payload(
        of read: DefinitionReader.Reading, _ id: ScheduleID, _ namespace: Namespace, _ body: inout BodyReader
    ) -> PayloadSource? {
        do throws(PayloadTemplate.Refusal) {
            return try PayloadSource(
                read.payload, isTemplate: read.payloadTemplate, common: values(of: read, id, namespace))
        } catch {
            for problem in error.problems { body.report("command_payload\(problem.pointer)", problem.message) }
            return nil
        }
    }

    /// What could not be read is left empty: then the definition is refused whatever its payload.
    private func values(
        of read: DefinitionReader.Reading, _ id: ScheduleID, _ namespace: Namespace
    ) -> FireValues.Common {
        var common = FireValues.Common()
        common.scheduleID = id.description
        common.scheduleName = read.name?.description ?? id.description
        common.namespace = namespace.description
        common.targetCommand = read.target?.description ?? ""
        common.timezone = read.timing?.timezone ?? "UTC"
        common.zone = (try? context.session.compiler.zones(common.timezone)) ?? .utc
        common.metadata = read.metadata.map { ($0.name, $0.value) }
        common.hasEvent = read.timing?.type == .event
        return common
    }
}

extension TriggerCommand {
    /// What a trigger is about to send is bound as the definition's is: by its size, and by the target's schema, once it
    /// is rendered.
    /// - Parameter isOwn: the trigger brought the payload.
    func check(_ fire: Fire, isOwn: Bool, of schedule: Schedule) throws(WireError) {
        let field = isOwn ? "payload" : "command_payload"
        let problems = fire.payloadProblems.map { problem in
            WireError.Problem(
                .payloadInvalid, JSONPointer("/\(field)\(problem.pointer)") ?? .root, problem.message)
        }
        if let error = WireError(problems) { throw error }
        guard let payload = fire.payload else { return }
        let definition = schedule.definition
        do {
            try context.session.compiler.targetRules.check(
                definition.target, delivery: definition.delivery, payloadBytes: payload.count,
                for: schedule.namespace)
        } catch {
            throw WireError(.payloadTooLarge, error.description)
        }
        if let most = context.session.limits.limits(of: schedule.namespace).maxPayloadBytes, payload.count > most {
            throw WireError(.payloadTooLarge, context.tooLarge(payload.count, most, for: schedule.namespace))
        }
        let headers = definition.headers.reduce(1024) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        guard payload.count + headers <= context.mostMessageBytes else {
            throw WireError(
                .payloadTooLarge,
                "payload and headers take \(payload.count + headers) bytes, the server's max_payload is "
                    + "\(context.mostMessageBytes)")
        }
    }
}
