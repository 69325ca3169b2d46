import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Reads a stream for an `event` schedule, through a durable consumer of the schedule's own.
///
/// # Once
/// A message's execution has an id that comes of its time and its sequence, so whoever delivers it twice, opens it once:
/// one that waits is a row with that id, one that was fired is an execution with it, and both are looked at under the
/// lock of the schedule's timer. It is acknowledged after the commit.
///
/// # What can go wrong
/// | fault | what happens |
/// | --- | --- |
/// | killed before the commit | nothing was written; the consumer delivers it again after `ack_wait` |
/// | killed between commit and acknowledgement | delivered again, known, acknowledged |
/// | two instances read at once | the consumer hands each message to one; what both get is known to the second |
/// | the consumer is deleted | made again, after the last message that was taken |
/// | the stream is deleted | a warning, and a look every 5 s; another of its name is read from its beginning |
struct StreamListener: Sendable {
    private struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    private static let longestPause = Duration.seconds(5)

    private let listener: EventListener
    private let stream: String
    private let consumer: String

    init(_ listener: EventListener, stream: StreamName) {
        self.listener = listener
        self.stream = stream.description
        consumer = Self.consumer(of: listener.schedule.id, listener.schedule.generation)
    }

    /// A new timing has a new consumer: what a consumer filters by cannot be changed.
    static func consumer(of id: ScheduleID, _ generation: Int32) -> String { "carillon-\(id)-\(generation)" }

    private var api: JetStreamAPI { JetStreamAPI(listener.session.serving) }

    func run() async {
        var pause = Duration.milliseconds(200)
        var told = ""
        while !listener.isStopping {
            do {
                try await follow {
                    pause = .milliseconds(200)
                    told = ""
                }
            } catch {
                // Once for each trouble, not each time that it is met.
                if told != "\(error)" { listener.warn("a stream is not read", error) }
                told = "\(error)"
                await listener.pause(pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
        await clearOut()
    }

    private func follow(onStart: () -> Void) async throws {
        guard let info = try await api.streamInfo(stream) else {
            throw Broken(description: "there is no stream '\(stream)'")
        }
        try await makeConsumer(info)
        let pulls = try PullConsumer(listener.session.serving, stream: stream, consumer: consumer)
        onStart()
        let line = IntakeLine(listener)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await pulls.run() }
            tasks.addTask {
                await line.run(stream: info.created) { deliveries, isTaken in
                    for delivery in deliveries {
                        if isTaken { pulls.acknowledge(delivery) } else { pulls.giveBack(delivery, for: .seconds(1)) }
                    }
                }
            }
            defer {
                line.end()
                tasks.cancelAll()
            }
            for await event in pulls.events {
                // What still comes is written down all the same: the schedule's rows say whether it is heard.
                if listener.isStopping { pulls.finish() }
                switch event {
                case .tick: continue
                case .broken(let why): throw Broken(description: why)
                case .delivery(let delivery):
                    await line.add(heard(delivery), delivery)
                    pulls.took()
                }
            }
            line.end()
            try await tasks.waitForAll()
        }
    }

    private func heard(_ delivery: PulledMessage) -> HeardMessage {
        let sequence = Int64(clamping: delivery.streamSequence)
        let at = Instant(milliseconds: delivery.storedAt / 1_000_000)
        let content = listener.content(of: delivery.message, at: at, sequence: sequence)
        return HeardMessage(at: at, sequence: sequence, ordinal: sequence, content: content)
    }

    /// Makes the consumer, unless it is there: it knows what was acknowledged.
    private func makeConsumer(_ info: StreamInfo) async throws {
        do {
            _ = try await api.request("CONSUMER.INFO.\(stream).\(consumer)")
            return
        } catch {
            guard case .jetStream(_, errCode: 10_014) = error.code else { throw error }
        }
        let schedule = listener.schedule
        let state = try await listener.session.pool.withConnection {
            try await EventTable.state(of: schedule.id, on: $0)
        }
        let start: String
        if let state, state.generation == schedule.generation, state.streamCreated == info.created,
            state.lastSequence > 0
        {
            start = #""deliver_policy":"by_start_sequence","opt_start_seq":\#(state.lastSequence + 1)"#
        } else {
            let from = max(state?.listenFrom ?? schedule.anchor, schedule.anchor)
            start = #""deliver_policy":"by_start_time","opt_start_time":"\#(from.rfc3339)""#
        }
        let filter = jsonString(schedule.definition.timing.event.subject?.description ?? "")
        try await api.createConsumer(
            consumer, of: stream,
            configuration: """
                {"durable_name":"\(consumer)",\(start),"filter_subject":\(filter),"ack_policy":"explicit",\
                "ack_wait":10000000000,"max_deliver":-1,"max_ack_pending":1000,"replay_policy":"instant"}
                """)
        if schedule.generation > 1 {
            try? await api.deleteConsumer(Self.consumer(of: schedule.id, schedule.generation - 1), of: stream)
        }
    }

    /// A schedule that is over, or reads by another timing, needs the consumer no more; one that is paused does.
    private func clearOut() async {
        guard listener.isOver else { return }
        let schedule = listener.schedule
        let stands = try? await listener.session.pool.withConnection {
            try await EventTable.stands(schedule.id, generation: schedule.generation, on: $0)
        }
        guard stands == false else { return }
        try? await api.deleteConsumer(consumer, of: stream)
    }
}
