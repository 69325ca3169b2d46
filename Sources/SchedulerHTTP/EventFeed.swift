import JSONText
package import NATSClient
package import SchedulerWire

/// Follows the stream of events for one client, through an ephemeral pull consumer of the client's own.
///
/// Messages are fetched in batches, the next when half of the last is taken: a client that is slow keeps its own events
/// waiting in the stream, and nothing in this process. What a lost connection or a lost consumer leaves out is seen by the
/// consumer's own count; another consumer goes on after the last event that was passed on. So a client that comes back
/// with the last id it has read misses nothing that the stream still holds, and is told of what it holds no more.
package struct EventFeed: Sendable {
    private struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// What the feed had before it broke.
    private enum End: Error {
        /// The client's end, or the process's: not to be tried again.
        case client(any Error)
    }

    /// Tries at a consumer, half a second apart, before the client is sent away.
    private static let mostAttempts = 20

    private let connection: NATSConnection
    private let stream: String
    private let prefix: String

    /// - Parameters:
    ///   - stream: the stream of events.
    ///   - prefix: the first token of all subjects.
    package init(_ connection: NATSConnection, stream: String, prefix: String) {
        self.connection = connection
        self.stream = stream
        self.prefix = prefix
    }

    private var api: JetStreamAPI { JetStreamAPI(connection, timeout: .seconds(2)) }

    /// Where a client's events begin.
    private struct Beginning {
        let next: UInt64
        /// Events that it wants are not in the stream any more.
        let isGap: Bool
    }

    /// Looks where the events begin.
    /// - Returns: what passes them on until its argument throws, or the events cannot be read any more.
    /// - Throws: `natsUnavailable`.
    package func open(_ query: EventQuery) async throws(WireError) -> HTTPBackend.Following {
        let beginning = try await beginning(query)
        return { deliver in try await follow(query, from: beginning, deliver) }
    }

    private func follow(
        _ query: EventQuery, from beginning: Beginning, _ deliver: (EventItem) async throws -> Void
    ) async throws {
        var next = beginning.next
        if beginning.isGap { try await deliver(.gap(next: next)) }
        var attempts = 0
        while true {
            let before = next
            do {
                try await read(query, from: &next, deliver)
            } catch End.client(let error) {
                throw error
            } catch {
                attempts = next == before ? attempts + 1 : 0
                guard attempts < Self.mostAttempts, !Task.isCancelled else { throw error }
                try await deliver(.tick)
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func beginning(_ query: EventQuery) async throws(WireError) -> Beginning {
        let info: StreamInfo?
        do { info = try await api.streamInfo(stream) } catch {
            throw WireError(.natsUnavailable, "NATS does not answer for the stream \(stream)")
        }
        guard let info else { throw WireError(.natsUnavailable, "there is no stream \(stream)") }
        guard let after = query.after else { return Beginning(next: info.lastSequence + 1, isGap: false) }
        // Beyond its end: it is another stream than the one that the client knew.
        let isForeign = after > info.lastSequence
        guard isForeign || after + 1 < info.firstSequence else { return Beginning(next: after + 1, isGap: false) }
        return Beginning(next: max(1, info.firstSequence), isGap: true)
    }

    private func read(
        _ query: EventQuery, from next: inout UInt64, _ deliver: (EventItem) async throws -> Void
    ) async throws {
        let consumer = try await makeConsumer(query, from: next)
        let pulls = try PullConsumer(connection, stream: stream, consumer: consumer)
        let pulling = Task { await pulls.run() }
        defer {
            pulling.cancel()
            // Else the server keeps it for as long as nobody asks.
            let api = api
            let stream = stream
            Task { try? await api.deleteConsumer(consumer, of: stream) }
        }
        var delivered: UInt64 = 0
        for await event in pulls.events {
            switch event {
            case .tick: try await passing(deliver, .tick)
            case .broken(let why): throw Broken(description: why)
            case .delivery(let message):
                delivered += 1
                guard message.consumerSequence == delivered else { throw Broken(description: "a message was lost") }
                next = message.streamSequence + 1
                pulls.took()
                guard query.admits(message.message.subject) else { continue }
                try await passing(
                    deliver, .event(sequence: message.streamSequence, body: message.message.payload))
            }
        }
        throw Broken(description: "the events ended")
    }

    private func passing(_ deliver: (EventItem) async throws -> Void, _ item: EventItem) async throws {
        do { try await deliver(item) } catch { throw End.client(error) }
    }

    /// - Returns: the consumer's name.
    private func makeConsumer(_ query: EventQuery, from next: UInt64) async throws -> String {
        let body = """
            {"stream_name":\(jsonString(stream)),"config":{"deliver_policy":"by_start_sequence","opt_start_seq":\(next),\
            "ack_policy":"none","filter_subject":\(jsonString(query.filter(prefix: prefix))),"replay_policy":"instant",\
            "mem_storage":true,"num_replicas":1,"inactive_threshold":10000000000}}
            """
        let reply = try await api.request("CONSUMER.CREATE.\(stream)", body: Array(body.utf8))
        guard let name = try? JSONValue.parse(reply)["name"]?.string else {
            throw Broken(description: "a consumer could not be made")
        }
        return name
    }
}
