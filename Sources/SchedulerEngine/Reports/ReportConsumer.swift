import NATSClient
import SchedulerCore
import SchedulerWire

/// Brings reports from the commands stream, where they are kept while no instance runs, and heartbeats as they pass by.
///
/// All instances share one durable consumer: each report goes to one of them, and comes again where that one did not
/// acknowledge it. Nothing is lost by that, and nothing done twice: a report that comes again finds what it has made.
struct ReportConsumer: Sendable {
    /// The consumer is of no more use; another begins where its acknowledgements ended.
    private struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// Until a report that nobody acknowledged comes again: that of an instance that was killed.
    private static let patience = Duration.seconds(5)
    private static let mostOpen = 5000

    let connection: NATSConnection
    let stream: CommandsStream
    let names: SubjectNames
    let queue: ReportQueue

    /// Takes reports until something breaks.
    /// - Parameter onStart: called once reports can come.
    func run(onStart: () -> Void) async throws {
        _ = try await stream.ensure()
        try await makeConsumer()
        let consumer = try PullConsumer(connection, stream: names.commandsStream, consumer: SubjectNames.reportConsumer)
        onStart()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await consumer.run() }
            defer { tasks.cancelAll() }
            for await event in consumer.events {
                switch event {
                case .tick: try Task.checkCancellation()
                case .broken(let why): throw Broken(description: why)
                case .delivery(let delivery):
                    queue.add(ReceivedReport(delivery.message, delivery: (delivery, consumer), prefix: names.prefix))
                }
            }
        }
        try Task.checkCancellation()
        throw Broken(description: "the consumer's messages ended")
    }

    /// One for all instances; whoever is first makes it. As long as an instance of an older version applies submitted
    /// commands, its consumer takes all of the stream, and none may stand beside it.
    private func makeConsumer() async throws {
        let api = JetStreamAPI(connection)
        let name = SubjectNames.reportConsumer
        if try await api.consumerNames(of: names.commandsStream).contains(name) { return }
        try await api.createConsumer(
            name, of: names.commandsStream,
            configuration: """
                {"durable_name":"\(name)","filter_subject":"\(names.anyReport)","deliver_policy":"all",\
                "ack_policy":"explicit","ack_wait":\(Self.patience.nanoseconds),"max_deliver":-1,\
                "max_ack_pending":\(Self.mostOpen),"replay_policy":"instant"}
                """)
    }
}
