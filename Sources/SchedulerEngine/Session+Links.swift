package import NATSClient

extension Session.Links {
    /// By the names under which logs speak of them.
    package var all: [(name: String, connection: NATSConnection)] {
        [("prompt", prompt), ("gathered", gathered), ("serving", serving), ("leases", leases)]
    }

    /// What keeps them from NATS, each reason once; empty while all are connected.
    var faults: [String] {
        var faults: [String] = []
        for fault in all.compactMap(\.connection.fault) where !faults.contains("NATS: \(fault)") {
            faults.append("NATS: \(fault)")
        }
        return faults
    }
}
