import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// What the server denies each role of `docker/nats`: a table of role and action.
    @Suite("NATS roles", .serialized, .timeLimit(.minutes(1))) struct NATSRoleTests {
        struct Row: Sendable, CustomTestStringConvertible {
            let role: GuardedSystem.Role
            /// `publish` or `subscribe`, and a subject.
            let denied: [String]
            let allowed: [String]

            var testDescription: String { role.rawValue }
        }

        private static let api = "publish $JS.API."

        static let table = [
            Row(
                role: .scheduler,
                denied: [
                    "publish elsewhere.x", "publish cmd.payments.x", "publish scheduler.cmd.billing.schedule.create",
                    "publish scheduler.submit.billing.schedule.create", "publish scheduler.admin.target.allow",
                    "publish scheduler.run.billing.x.succeeded", "publish $SYS.REQ.SERVER.PING",
                    api + "STREAM.DELETE.SCHEDULER_EVENTS", api + "STREAM.PURGE.SCHEDULER_EVENTS",
                    api + "STREAM.UPDATE.SCHEDULER_EVENTS", api + "STREAM.MSG.DELETE.SCHEDULER_EVENTS",
                    api + "STREAM.CREATE.OTHERS", api + "STREAM.PURGE.ORDERS",
                    api + "CONSUMER.DURABLE.CREATE.SCHEDULER_EVENTS.x", "publish $KV.OTHERS.x",
                    "subscribe >", "subscribe _INBOX.>", "subscribe _INBOX.billing.>", "subscribe scheduler.submit.>",
                    "subscribe cmd.billing.>", "subscribe $SRV.>",
                ],
                allowed: ["publish cmd.billing.x", "publish _INBOX.billing.x", "subscribe _INBOX.scheduler.x"]),
            Row(
                role: .billing,
                denied: [
                    "publish scheduler.cmd.payments.schedule.list", "publish scheduler.cmd.billing.schedule.list.x",
                    "publish scheduler.submit.payments.schedule.delete", "publish scheduler.admin.system.status",
                    "publish scheduler.admin.target.allow", "publish scheduler.evt.billing.execution.succeeded.x",
                    "publish scheduler.run.billing.x.succeeded", "publish scheduler.run.billing.x.cancel",
                    "publish scheduler.sys.hint", "publish scheduler.dlq.billing.x", "publish cmd.billing.x",
                    "publish $KV.SCHEDULER_LOCKS.member.x", "publish _INBOX.scheduler.x", "publish _INBOX.admin.x",
                    api + "INFO", api + "STREAM.INFO.SCHEDULER_EVENTS", api + "STREAM.DELETE.SCHEDULER_EVENTS",
                    api + "CONSUMER.CREATE.SCHEDULER_EVENTS", api + "STREAM.MSG.GET.SCHEDULER_COMMANDS",
                    "subscribe >", "subscribe _INBOX.>", "subscribe _INBOX.scheduler.>",
                    "subscribe _INBOX.billing-worker.>",
                    "subscribe scheduler.cmd.>", "subscribe scheduler.evt.>", "subscribe scheduler.evt.payments.>",
                    "subscribe scheduler.sys.>", "subscribe cmd.billing.>", "subscribe $KV.SCHEDULER_LOCKS.>",
                ],
                allowed: [
                    "publish scheduler.cmd.billing.schedule.list", "publish scheduler.help",
                    "subscribe _INBOX.billing.x", "subscribe scheduler.evt.billing.>",
                ]),
            Row(
                role: .worker,
                denied: [
                    "publish scheduler.cmd.billing.schedule.list", "publish scheduler.submit.billing.schedule.list",
                    "publish scheduler.run.payments.x.succeeded", "publish scheduler.run.billing.x.cancel",
                    "publish scheduler.admin.system.drain", "publish scheduler.evt.billing.execution.succeeded.x",
                    "publish _INBOX.scheduler.x", "publish _INBOX.billing.x", "publish cmd.billing.x",
                    api + "CONSUMER.MSG.NEXT.BILLING.other",
                    api + "CONSUMER.MSG.NEXT.SCHEDULER_COMMANDS.carillon-reports",
                    api + "STREAM.PURGE.BILLING", api + "CONSUMER.DURABLE.CREATE.BILLING.worker",
                    "publish $JS.ACK.SCHEDULER_COMMANDS.carillon-reports.1.1.1.1.0",
                    "subscribe >", "subscribe _INBOX.>", "subscribe _INBOX.scheduler.>", "subscribe _INBOX.billing.>",
                    "subscribe cmd.payments.>", "subscribe scheduler.run.>", "subscribe scheduler.evt.billing.>",
                ],
                allowed: [
                    "publish scheduler.run.billing.x.heartbeat", "subscribe cmd.billing.>",
                    "subscribe scheduler.run.billing.*.cancel", api + "CONSUMER.INFO.BILLING.worker",
                ]),
            Row(
                role: .auditor,
                denied: [
                    "publish scheduler.cmd.billing.schedule.list", "publish scheduler.admin.system.status",
                    "publish scheduler.evt.billing.schedule.created.x", "publish cmd.billing.x",
                    "publish _INBOX.scheduler.x",
                    api + "STREAM.DELETE.SCHEDULER_EVENTS", api + "STREAM.PURGE.SCHEDULER_EVENTS",
                    api + "STREAM.UPDATE.SCHEDULER_EVENTS", api + "STREAM.MSG.DELETE.SCHEDULER_EVENTS",
                    api + "CONSUMER.DURABLE.CREATE.SCHEDULER_EVENTS.auditor", api + "CONSUMER.CREATE.SCHEDULER_EVENTS",
                    api + "CONSUMER.DELETE.SCHEDULER_EVENTS.auditor", api + "STREAM.MSG.GET.SCHEDULER_COMMANDS",
                    "subscribe >", "subscribe _INBOX.>", "subscribe cmd.>", "subscribe scheduler.cmd.>",
                    "subscribe scheduler.dlq.>", "subscribe $KV.>",
                ],
                allowed: [
                    "subscribe scheduler.evt.>", api + "STREAM.INFO.SCHEDULER_EVENTS",
                    api + "STREAM.MSG.GET.SCHEDULER_EVENTS",
                ]),
            Row(
                role: .admin,
                denied: [
                    "publish scheduler.evt.billing.schedule.created.x", "publish scheduler.run.billing.x.succeeded",
                    "publish scheduler.sys.hint", "publish scheduler.dlq.billing.x",
                    "publish $KV.SCHEDULER_LOCKS.member.x",
                    "publish cmd.billing.x", "publish _INBOX.scheduler.x", api + "STREAM.DELETE.SCHEDULER_EVENTS",
                    api + "STREAM.PURGE.SCHEDULER_EVENTS", api + "STREAM.MSG.DELETE.SCHEDULER_EVENTS",
                    "publish $SYS.REQ.SERVER.PING", "subscribe >", "subscribe _INBOX.>", "subscribe _INBOX.scheduler.>",
                    "subscribe cmd.>", "subscribe scheduler.cmd.>", "subscribe $SYS.>",
                ],
                allowed: [
                    "publish scheduler.cmd.billing.schedule.list", "publish scheduler.admin.system.status",
                    "publish $SRV.PING", api + "STREAM.INFO.SCHEDULER_EVENTS", "subscribe scheduler.dlq.>",
                ]),
        ]

        @Test("Each role is denied what is not its own, by the server", arguments: table)
        func denies(_ row: Row) async throws {
            let connection = try await GuardedSystem.running.connect(as: row.role)
            let events = connection.eventStream()
            // What the server says of the last one has been preceded by what it says of all others.
            let last = "publish nobody.may"
            for action in row.allowed + row.denied + [last] {
                let words = action.split(separator: " ").map(String.init)
                if words[0] == "publish" {
                    try connection.publish(try Subject(words[1]), payload: [])
                } else {
                    _ = try connection.subscribe(try SubjectFilter(words[1])) { _ in }
                }
            }
            var denied: [String] = []
            for await event in events {
                guard case .permissionViolation(let violation) = event else { continue }
                denied.append("\(violation.operation) \(violation.subject)")
                if denied.last == last { break }
            }
            #expect(Set(denied) == Set(row.denied + [last]))
            await connection.close()
        }
    }
}
