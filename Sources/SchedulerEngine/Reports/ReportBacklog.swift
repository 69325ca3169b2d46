import NATSClient
import SchedulerCore
import SchedulerWire

/// What of workers' reports is not settled yet. Their stream is a work queue, so that is what lies in it, whichever
/// instance has it in hand; its leader is asked.
struct ReportBacklog: Sendable {
    private static let patience = Duration.seconds(2)

    private let api: JetStreamAPI
    private let names: SubjectNames

    init(_ connection: NATSConnection, names: SubjectNames) {
        api = JetStreamAPI(connection, timeout: Self.patience)
        self.names = names
    }

    /// Where the stream ends, and, asked after that, where its first report lies; nil where none waits.
    func look() async throws -> (last: UInt64, eldest: UInt64?) {
        guard let stream = try await api.streamInfo(names.commandsStream) else {
            throw EngineError(.stream, "the stream \(names.commandsStream) is gone")
        }
        let filter = try SubjectFilter(names.anyReport)
        do throws(NATSError) {
            let first = try await api.nextMessage(in: names.commandsStream, on: filter, from: 1)
            return (stream.lastSequence, first.sequence)
        } catch {
            guard error.code == .keyNotFound else { throw error }
            return (stream.lastSequence, nil)
        }
    }

    /// Whether a report on an execution waits. By its subjects, so that the server need not search.
    func holds(reportOn execution: ExecutionID, in namespace: String) async throws -> Bool {
        let base = ReportSubject.base(of: execution, in: namespace, prefix: names.prefix)
        for kind in ReportKind.allCases where kind != .heartbeat {
            do throws(NATSError) {
                _ = try await api.lastMessage(in: names.commandsStream, on: Subject("\(base).\(kind.rawValue)"))
                return true
            } catch {
                guard error.code == .keyNotFound else { throw error }
            }
        }
        return false
    }
}
