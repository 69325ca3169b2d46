import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.system.status`: members, shares, backlog, readiness and why not. An instance that is not ready answers too.
struct StatusCommand: Sendable {
    let engine: Engine

    /// What PostgreSQL knows.
    private struct Stored: Sendable {
        let overdue: Int
        let claims: Int64
        let waiting: Int64
        let concurrency: [ConcurrencyUse]
        let outbox: Int64
        let chain: AuditLink
        let states: [(state: String, count: Int64)]
        let freezes: [Freeze]
        let cursor: Int64?
    }

    func status(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        try body.finish()
        let faults = engine.faults()
        guard let session = engine.session else {
            return { $0.object("system") { $0.readiness(faults) } }
        }
        let now = session.clock.now()
        // PostgreSQL may be what is wrong: the rest is told all the same.
        let stored = try? await session.lists.withConnection { try await Self.stored(session, at: now, on: $0) }
        let submitted = try? await session.commandsStream.pending()
        return { writer in
            writer.object("system") { writer in
                writer.readiness(faults)
                Self.write(session, at: now, into: &writer)
                writer.member("commands_pending", ifPresent: submitted ?? nil)
                if let stored { Self.write(stored, at: now, into: &writer) }
            }
        }
    }

    private static func stored(
        _ session: Session, at now: Instant, on connection: PostgresConnection
    ) async throws -> Stored {
        Stored(
            overdue: try await TimerTable.countOverdue(at: now, on: connection),
            claims: try await ClaimTable.held(on: connection).claims,
            waiting: try await BufferTable.count(on: connection),
            concurrency: try await ConcurrencyTable.use(limit: ConcurrencyUse.most, on: connection).map { use in
                let rules = session.compiler.targetRules
                return ConcurrencyUse(use, places: use.names.target.flatMap { rules.places(ofLimit: $0) })
            },
            outbox: try await AuditTable.pending(on: connection),
            chain: try await AuditChainTable.ends(on: connection).head,
            states: try await ScheduleTable.counts(on: connection),
            freezes: try await FreezeTable.current(endingAfter: now, on: connection),
            cursor: try await CommandCursorTable.find(session.configuration.names.commandsStream, on: connection))
    }

    private static func write(_ session: Session, at now: Instant, into writer: inout JSONWriter) {
        let view = session.membership.view
        writer.strings("warnings", session.warnings())
        writer.member("instance", session.instance.description)
        writer.member("instance_name", session.configuration.instanceName)
        writer.member("time", now.rfc3339)
        writer.member("clock_skew_ms", session.clock.skewMilliseconds())
        writer.name("members")
        writer.array { writer in
            for member in view.members.sorted() {
                writer.object { writer in
                    writer.member("instance", member.description)
                    writer.member("partitions", Share.partitions(of: member, among: view.members).count)
                }
            }
        }
        writer.member("in_flight", session.publisher.held)
        writer.member("unanswered", session.publisher.unanswered)
        writer.member("due_waiting", session.publisher.dueBacklog)
        writer.member("events_owed", session.teller.owedCount)
        writer.member("lookahead_ms", session.claimer.lookaheadMilliseconds)
    }

    private static func write(_ stored: Stored, at now: Instant, into writer: inout JSONWriter) {
        writer.member("overdue", stored.overdue)
        writer.member("claims", stored.claims)
        writer.member("waiting", stored.waiting)
        writer.concurrencyUse(stored.concurrency)
        writer.member("outbox_pending", stored.outbox)
        writer.member("commands_cursor", ifPresent: stored.cursor)
        writer.link("audit", stored.chain)
        writer.name("freezes")
        writer.array { writer in
            for freeze in stored.freezes where freeze.holds(at: now) { writer.value(freeze, at: now) }
        }
        writer.object("schedules") { writer in
            for (state, count) in stored.states {
                writer.name(dynamic: state)
                writer.value(count)
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func readiness(_ faults: [String]) {
        member("ready", faults.isEmpty)
        strings("reasons", faults)
    }

    mutating func strings(_ name: StaticString, _ strings: [String]) {
        self.name(name)
        array { writer in
            for string in strings { writer.value(string) }
        }
    }
}
