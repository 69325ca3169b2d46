import JSONText
import NATSClient
import ServiceFixture
import Synchronization

/// A worker outside of the service that fails one attempt in five, and never answers one in forty. It notes every message
/// that it sees.
final class SoakWorker: Sendable {
    /// One message as it came: the execution, and which of its attempts.
    struct Seen: Hashable, Sendable {
        let execution: String
        let attempt: Int64
    }

    private let connection: NATSConnection
    private let messages: NATSSubscription
    private let seen = Mutex<Set<Seen>>([])

    init(_ subject: String, on connection: NATSConnection) throws {
        self.connection = connection
        messages = try connection.subscribe(try SubjectFilter(subject), capacity: 65_536)
    }

    var noted: Set<Seen> { seen.withLock { $0 } }

    /// Works until ``stop()``.
    func run() async {
        await withDiscardingTaskGroup { tasks in
            for await message in messages {
                guard let execution = message.header("Scheduler-Execution-Id"),
                    let attempt = message.header("Scheduler-Attempt").flatMap({ Int64($0) })
                else { continue }
                seen.withLock { _ = $0.insert(Seen(execution: execution, attempt: attempt)) }
                tasks.addTask { await self.work(message, seed: "\(execution).\(attempt)") }
            }
        }
    }

    func stop() { messages.cancel() }

    private func work(_ message: NATSMessage, seed: String) async {
        let dice = seed.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        guard dice % 40 != 0 else { return }
        let isFailing = dice % 5 == 1
        let takes = Duration.milliseconds(Int64(dice >> 32 % 700))
        // The completion that its schedule has, by the number at the subject's end.
        let number = message.subject.split(separator: "s").last.flatMap { Int($0) } ?? 0
        if number % 3 == 1, let status = message.header("Scheduler-Status-Subject") {
            let fence = message.header("Scheduler-Fence") ?? ""
            report("started", to: status, fence, "")
            try? await Task.sleep(for: takes)
            report(
                isFailing ? "failed" : "succeeded", to: status, fence,
                isFailing ? #"{"error":"the dice said so"}"# : #"{"result":{"took":1}}"#)
        } else if number % 3 == 2, let reply = message.reply.flatMap({ try? Subject($0) }) {
            try? await Task.sleep(for: takes)
            var headers = NATSHeaders()
            if isFailing {
                try? headers.append("Nats-Service-Error-Code", "500")
                try? headers.append("Nats-Service-Error", "the dice said so")
            }
            _ = try? connection.publish(reply, headers: headers, payload: Array("{}".utf8))
        }
    }

    private func report(_ kind: String, to status: String, _ fence: String, _ body: String) {
        guard let subject = try? Subject("\(status).\(kind)") else { return }
        var headers = NATSHeaders()
        try? headers.append("Scheduler-Fence", fence)
        _ = try? connection.publish(subject, headers: headers, payload: Array(body.utf8))
    }
}
