import ArgumentParser
import JSONText
import ScheduleFiles
import SchedulerCore

/// Makes the service's schedules what files say: asks what would change, then changes it.
struct Application: Sendable {
    /// What the command line asks for.
    struct Wishes: Sendable {
        var isDryRun = false
        /// Whose schedules that are in no file go; nil: none go.
        var pruned: String?
        /// Where schedules are pruned, besides the namespaces of the files.
        var namespace: Namespace?
        var reason: String?
    }

    /// Requests under way at a time.
    private static let width = 8
    private static let actor = "carillon apply"
    private static let limits = JSONLimits(maxDepth: 64, maxBytes: 64 << 20)

    let client: ServiceClient
    let wishes: Wishes

    /// A step of the plan.
    private enum Step: Sendable {
        case put(FileItem, Namespace)
        case delete(ListedSchedule, Namespace)

        var item: FileItem? { if case .put(let item, _) = self { item } else { nil } }
    }

    /// Shows the plan and, unless it is a rehearsal, carries it out.
    /// - Returns: whether anything changed, or would.
    /// - Throws: exit code 1 after a line for each problem; nothing was changed unless a line says so.
    func run(_ items: [FileItem]) async throws -> Bool {
        let puts = items.compactMap { item in item.namespace.map { Step.put(item, $0) } }
        let orphans = try await orphans(besides: items)
        let plan =
            try await perform(puts, known: Self.keys(of: items), isRehearsal: true) + orphans.map { Self.planned($0) }
        for change in plan where change.action != .unchanged { print(change.line) }
        print("\(plan.summary)\(wishes.isDryRun ? " (dry run)" : "")")
        guard !plan.isEmptyPlan else { return false }
        guard !wishes.isDryRun else { return true }
        let changed = zip(puts, plan).filter { $0.1.action != .unchanged }.map(\.0)
        var done = 0
        for wave in FollowOrder.waves(of: changed.compactMap(\.item)) {
            let made = try await perform(wave.map { changed[$0] }, after: done, isRehearsal: false)
            done += made.count { $0.action != .unchanged }
        }
        // Last: what could not be put keeps nothing from being there.
        let deleted = try await perform(orphans, after: done, isRehearsal: false)
        print("applied: \(done + deleted.count) changed")
        return true
    }

    /// What the files define: it will be there when somebody follows it.
    private static func keys(of items: [FileItem]) -> Set<String> {
        Set(items.compactMap { item in item.namespace.map { "\($0)/\(item.name)" } })
    }

    private static func planned(_ step: Step) -> PlannedChange {
        switch step {
        case .put(let item, let namespace): PlannedChange(.update, namespace: namespace, name: item.name)
        case .delete(let schedule, let namespace): PlannedChange(.delete, namespace: namespace, name: schedule.name)
        }
    }

    /// Sends steps side by side; the answers come in the steps' order.
    /// - Parameters:
    ///   - known: what a rehearsal may follow though it is not there yet.
    ///   - before: how many were changed by earlier steps.
    private func perform(
        _ steps: [Step], known: Set<String> = [], after before: Int = 0, isRehearsal: Bool
    ) async throws -> [PlannedChange] {
        var changes: [PlannedChange?] = Array(repeating: nil, count: steps.count)
        var faults: [(index: Int, lines: [String])] = []
        try await withThrowingTaskGroup(of: (Int, Result<PlannedChange, Fault>).self) { tasks in
            var next = 0
            func add() {
                guard next < steps.count, faults.isEmpty || isRehearsal else { return }
                let (index, step) = (next, steps[next])
                tasks.addTask { (index, try await perform(step, known, isRehearsal: isRehearsal)) }
                next += 1
            }
            for _ in 0..<Self.width { add() }
            for try await (index, result) in tasks {
                switch result {
                case .success(let change): changes[index] = change
                case .failure(let fault): faults.append((index, fault.lines))
                }
                add()
            }
        }
        guard faults.isEmpty else {
            for line in faults.sorted(by: { $0.index < $1.index }).flatMap(\.lines) { Console.error(line) }
            let done = before + changes.count { ($0?.action ?? .unchanged) != .unchanged }
            Console.error(
                isRehearsal ? "nothing was changed" : "\(done) were changed; apply the files again for the rest")
            throw ExitCode(1)
        }
        return changes.compactMap { $0 }
    }

    /// What the service says against a step, a line each.
    private struct Fault: Error {
        let lines: [String]
    }

    private func perform(
        _ step: Step, _ known: Set<String>, isRehearsal: Bool
    ) async throws -> Result<PlannedChange, Fault> {
        do {
            switch step {
            case .put(let item, let namespace):
                return try await put(item, in: namespace, known, isRehearsal)
            case .delete(let schedule, let namespace):
                var writer = JSONWriter(capacity: 256)
                writer.object { writer in
                    writer.member("id", schedule.id)
                    // One that changed since it was listed may belong to somebody else now.
                    writer.member("if_version", schedule.version)
                    writer.member("actor", Self.actor)
                    writer.member("reason", wishes.reason ?? "it is in no file any more")
                }
                do { _ = try await client.command("schedule.delete", in: namespace, writer.bytes) } catch let refusal
                    as ServiceClient.Refusal
                {
                    return .failure(Fault(lines: ["\(namespace)/\(schedule.name): not deleted: \(refusal)"]))
                }
                return .success(Self.planned(step))
            }
        } catch let refusal as ServiceClient.Refusal {
            guard case .put(let item, _) = step else { return .failure(Fault(lines: ["\(refusal)"])) }
            return .failure(Fault(lines: Self.problems(of: refusal, item).map(\.description)))
        }
    }

    private func put(
        _ item: FileItem, in namespace: Namespace, _ known: Set<String>, _ isRehearsal: Bool
    ) async throws -> Result<PlannedChange, Fault> {
        var change: PlannedChange?
        do {
            let reply = try await client.command("schedule.put", in: namespace, body(of: item, isRehearsal))
            change = PlannedChange(reply: reply, namespace: namespace, name: item.name)
        } catch let refusal as ServiceClient.Refusal {
            let ours = Set(item.links.filter { known.contains("\(namespace)/\($0.name)") }.map(\.pointer))
            let isOurs = !refusal.details.isEmpty && refusal.details.allSatisfy { ours.contains($0.pointer) }
            guard isRehearsal, isOurs else { throw refusal }
            // Whom it follows is made before it: what would come of all the rest?
            let reply = try await client.command(
                "schedule.put", in: namespace, body(of: item, isRehearsal, without: "after"))
            let after = try? JSONValue.parse(item.body, limits: Self.limits)["after"]
            change = PlannedChange(reply: reply, namespace: namespace, name: item.name)?.following(after)
        }
        guard let change else {
            return .failure(Fault(lines: ["\(namespace)/\(item.name): the service does not answer as it should"]))
        }
        return .success(change)
    }

    /// - Parameter omitted: a member that is left out.
    private func body(of item: FileItem, _ isRehearsal: Bool, without omitted: String? = nil) -> [UInt8] {
        var writer = JSONWriter(capacity: item.body.count + 128)
        writer.beginObject()
        if let value = try? JSONValue.parse(item.body, limits: Self.limits) {
            for member in value.members where member.name != omitted {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
        writer.member("actor", Self.actor)
        writer.member("reason", ifPresent: wishes.reason)
        if isRehearsal { writer.member("dry_run", true) }
        writer.endObject()
        return writer.bytes
    }

    /// At the places in the file that the answer's pointers name.
    private static func problems(of refusal: ServiceClient.Refusal, _ item: FileItem) -> [FileProblem] {
        guard !refusal.details.isEmpty else { return [item.problem(item.pointer, refusal.description)] }
        return refusal.details.map { detail in
            let pointer = JSONPointer(item.pointer.description + detail.pointer.description) ?? item.pointer
            return item.problem(pointer, detail.message)
        }
    }

    // MARK: Pruning

    /// The owner's schedules that are in no file, of the files' namespaces and the one that was named.
    private func orphans(besides items: [FileItem]) async throws -> [Step] {
        guard let owner = wishes.pruned else { return [] }
        let namespaces = Set(items.compactMap(\.namespace) + [wishes.namespace].compactMap { $0 })
        var steps: [Step] = []
        for namespace in namespaces.sorted() {
            let names = Set(items.filter { $0.namespace == namespace }.map(\.name))
            var cursor: String?
            repeat {
                var writer = JSONWriter(capacity: 128)
                writer.object { writer in
                    writer.member("limit", 200)
                    writer.member("cursor", ifPresent: cursor)
                }
                do {
                    let page = try await client.command("schedule.list", in: namespace, writer.bytes)
                    steps += ListedSchedule.orphans(in: page, of: owner, notIn: names).map { .delete($0, namespace) }
                    cursor = page["next_cursor"]?.string
                } catch let refusal as ServiceClient.Refusal {
                    Console.error("\(namespace): \(refusal)")
                    throw ExitCode(1)
                }
            } while cursor != nil
        }
        return steps
    }
}
