import JSONText
package import SchedulerCore

/// What an execution leaves behind that gave up: a message on `<p>.dlq.<namespace>.<schedule_id>`, for operators.
///
/// It tells what was sent, where to, and how that ended. It is a notice, not the store: `admin.dlq.redrive` makes the new
/// execution from the ledger.
package struct DeadLetter: Sendable {
    package static let type = "io.carillon.v1.dead_letter"
    /// A payload beyond this is left out, so that the letter fits a message wherever the payload did.
    package static let mostPayloadBytes = 256 << 10

    package let execution: Execution
    package let scheduleName: String
    package let namespace: String
    package let target: String
    package let delivery: Delivery
    /// The user's own.
    package let headers: [(name: String, value: String)]
    /// As it went out with the last attempt.
    package let payload: [UInt8]

    package init(
        _ execution: Execution, scheduleName: String, namespace: String, target: String, delivery: Delivery,
        headers: [(name: String, value: String)], payload: [UInt8]
    ) {
        self.execution = execution
        self.scheduleName = scheduleName
        self.namespace = namespace
        self.target = target
        self.delivery = delivery
        self.headers = headers
        self.payload = payload
    }

    /// The `Nats-Msg-Id`: an execution gives up once.
    package var id: String { Digest.identity(execution.id.description, "dead_letter").text }

    package func subject(prefix: String) -> String { "\(prefix).dlq.\(namespace).\(execution.schedule)" }

    package var body: [UInt8] {
        var writer = JSONWriter(capacity: 1024 + payload.count)
        writer.object { writer in
            writer.member("type", Self.type)
            writer.name("execution")
            writer.value(execution, scheduleName: scheduleName, namespace: namespace)
            writer.member("target_command", target)
            writer.member("delivery", delivery.rawValue)
            writer.object("command_headers") { writer in
                for header in headers {
                    writer.name(dynamic: header.name)
                    writer.value(header.value)
                }
            }
            writer.member("payload_sha256", Digest.hexadecimal(Digest.sha256(payload)))
            writer.member("payload_bytes", payload.count)
            if payload.count <= Self.mostPayloadBytes { writer.member("payload", raw: payload) }
        }
        return writer.bytes
    }
}
