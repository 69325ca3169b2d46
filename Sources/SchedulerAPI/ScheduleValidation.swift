import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.validate`: a definition, or several under `schedules`, checked as `create` does; nothing is stored.
///
/// What `create` would refuse for the definition's sake is the same error. What depends on the others, a name that is
/// taken and the namespace's limit, is a warning: it may be otherwise by the time of the create.
extension ScheduleDefinitions {
    func validate(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let origin = ChangeOrigin(namespace: request.namespace, options: ChangeOptions(&body), now: context.now)
        body.refuseVersion(origin.options)
        let missing = try await context.loadCalendars(namedIn: request)
        guard body.value("schedules") != nil else {
            let isPaused = body.bool("paused") ?? false
            let draft = try await context.withNewestRules(&body) { body in
                try self.draft(&body, isPaused: isPaused, by: origin, without: missing)
            }
            let warnings =
                try await warnings([draft], in: request.namespace, at: { _ in .root })
                + context.warnings(of: draft.schedule.definition)
            let view = view(of: draft, at: origin.now)
            return { writer in
                writer.member("valid", true)
                writer.schedule(view)
                writer.warningList(warnings)
            }
        }
        let items = try body.finish(with: body.definitions())
        try await context.loadNewestRules()
        let results = drafts(items, by: origin, without: missing)
        if let error = problems(of: results) { throw error }
        let drafts = try results.map { try $0.get() }
        let warnings = try await warnings(drafts, in: request.namespace) {
            JSONPointer.root.appending("schedules").appending($0)
        }
        let views = drafts.map { view(of: $0, at: origin.now) }
        return { writer in
            writer.member("valid", true)
            writer.name("schedules")
            writer.array { writer in
                for (index, view) in views.enumerated() {
                    writer.object { writer in
                        writer.member("index", index)
                        writer.member("name", view.schedule.definition.name.description)
                        writer.member("next_fire_at", ifPresent: view.nextFires?.first)
                    }
                }
            }
            writer.warningList(warnings)
        }
    }

    private func warnings(
        _ drafts: [ScheduleDraft], in namespace: Namespace, at pointer: (Int) -> JSONPointer
    ) async throws -> [Warning] {
        let names = drafts.map(\.schedule.definition.name)
        let most = context.mostSchedules
        let (taken, room) = try await context.session.pool.withConnection {
            (
                try await ScheduleTable.taken(names, in: namespace, on: $0),
                try await NamespaceTable.room(in: namespace, limit: most, on: $0)
            )
        }
        var warnings: [Warning] = []
        for (index, name) in names.enumerated() where taken.contains(name.description) {
            warnings.append(
                Warning(
                    pointer: pointer(index).appending("name").description,
                    message: "another schedule of the namespace has this name: 'create' is refused, 'put' replaces it"))
        }
        let new = drafts.count - warnings.count
        if Int64(new) > room {
            warnings.append(
                Warning(pointer: "", message: "the namespace has room for \(room) more schedules, these are \(new)"))
        }
        return warnings
    }
}
