/// Private nats-servers on 127.0.0.1 that are one JetStream cluster. Each is a ``NATSServer``: stopped, killed, paused
/// and started by itself, with the same name, ports and data over it all.
package struct NATSCluster: Sendable {
    /// Named `n1`, `n2`, … in this order.
    package let nodes: [NATSServer]

    /// Starts the nodes. They answer; who leads them is settled some seconds later, and until then JetStream refuses.
    /// - Parameters:
    ///   - count: 3 or 5.
    ///   - configuration: is added to that of each node.
    package static func start(nodes count: Int = 3, configuration: String = "") async throws -> NATSCluster {
        // A route's port is chosen before its node binds it, so another process can take it meanwhile.
        var attempt = 1
        while true {
            var ports: [UInt16] = []
            for _ in 0..<count { ports.append(try Loopback.freePort()) }
            let nodes = try ports.indices.map { index in
                try NATSServer(configuration: "\(Self.membership(of: index, ports))\n\(configuration)")
            }
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for node in nodes { group.addTask { try await node.start() } }
                    try await group.waitForAll()
                }
                return NATSCluster(nodes: nodes)
            } catch {
                for node in nodes { await node.remove() }
                guard attempt < 3 else { throw error }
                attempt += 1
            }
        }
    }

    private static func membership(of index: Int, _ ports: [UInt16]) -> String {
        let routes = ports.map { "\"nats-route://127.0.0.1:\($0)\"" }.joined(separator: ", ")
        return """
            server_name: "n\(index + 1)"
            cluster { name: "carillon", listen: "127.0.0.1:\(ports[index])", routes: [\(routes)] }
            """
    }

    /// `nats://127.0.0.1:<port>` of each node.
    package var urls: [String] {
        get async {
            var urls: [String] = []
            for node in nodes { urls.append(await node.url) }
            return urls
        }
    }

    /// The node that calls itself so; nil where none does.
    package func node(named name: String) -> NATSServer? {
        guard name.hasPrefix("n"), let number = Int(name.dropFirst()), (1...nodes.count).contains(number) else {
            return nil
        }
        return nodes[number - 1]
    }

    /// Stops the nodes and deletes their folders.
    package func remove() async {
        for node in nodes { await node.kill() }
        for node in nodes { await node.remove() }
    }
}
