package import LocalServers
package import NATSClient

extension NATSCluster {
    /// Waits until the cluster places replicated streams: it has a leader, and that knows all nodes.
    package func settles(_ connection: NATSConnection, within limit: Duration = .seconds(30)) async -> Bool {
        let administration = JetStreamAPI(connection, timeout: .seconds(2))
        let probe = #"{"name":"SETTLES","subjects":["settles"],"storage":"memory","num_replicas":\#(nodes.count)}"#
        let isSettled = await waitUntil(limit) {
            (try? await administration.createStream("SETTLES", configuration: probe)) != nil
        }
        try? await administration.deleteStream("SETTLES")
        return isSettled
    }

    /// The node that leads a replicated stream; nil while there is none, or nobody can say.
    package func leader(of stream: String, _ connection: NATSConnection) async -> NATSServer? {
        let info = try? await JetStreamAPI(connection, timeout: .seconds(1)).streamInfo(stream)
        return info?.leader.flatMap { node(named: $0) }
    }

    /// Waits until a node leads a stream. - Returns: nil when none did in time.
    package func electedLeader(
        of stream: String, _ connection: NATSConnection, within limit: Duration = .seconds(30)
    ) async -> NATSServer? {
        var leader: NATSServer?
        _ = await waitUntil(limit) {
            leader = await self.leader(of: stream, connection)
            return leader != nil
        }
        return leader
    }
}
