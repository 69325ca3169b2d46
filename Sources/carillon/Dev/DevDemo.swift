import JSONText
import NATSClient
import SchedulerEngine

/// The schedule that a newcomer sees at once: a greeting every second, on a core NATS subject.
struct DevDemo: Sendable {
    static let namespace = "demo"
    static let scheduleName = "hello"

    let connection: NATSConnection
    let names: SubjectNames

    /// Error codes of replies that end the waiting: `name_taken` means that an earlier run made it.
    private static let nameTaken: Int64 = 20409
    private static let patience = Duration.seconds(20)

    private static let definition = """
        {"name":"\(scheduleName)","schedule_type":"interval","interval_seconds":1,"target_command":"demo.hello",\
        "delivery":"core","command_payload":{"message":"hello from Carillon"},"description":"made by carillon dev"}
        """

    /// Waits until the service answers that it is ready.
    func waitUntilReady(_ stop: StopRequest) async throws {
        let status = try await ask("\(names.prefix).admin.system.status", "", stop) { reply in
            reply["system"]?["ready"]?.bool == true
        }
        guard status == nil else { return }
        throw DevFault("the service did not become ready; LOG_LEVEL=info shows why")
    }

    /// Makes the schedule, unless it is there.
    func create(_ stop: StopRequest) async throws {
        let subject = "\(names.prefix).cmd.\(Self.namespace).schedule.create"
        let reply = try await ask(subject, Self.definition, stop) { reply in
            guard let error = reply["error"] else { return true }
            return error["err_code"]?.int64 == Self.nameTaken || error["code"]?.int64.map { $0 < 500 } == true
        }
        let error = reply?["error"]
        if let error, error["err_code"]?.int64 != Self.nameTaken {
            throw DevFault("the demo schedule was refused: \(error["description"]?.string ?? "?")")
        }
    }

    /// Asks until a reply is good, or the patience is over.
    private func ask(
        _ subject: String, _ body: String, _ stop: StopRequest, until isGood: (JSONValue) -> Bool
    ) async throws -> JSONValue? {
        let subject = try Subject(subject)
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline, !stop.isRequested {
            let reply = try? await connection.request(subject, payload: Array(body.utf8), timeout: .seconds(2))
            if let reply, let value = try? JSONValue.parse(reply.payload), isGood(value) { return value }
            try await Task.sleep(for: .milliseconds(20))
        }
        try stop.check()
        return nil
    }
}
