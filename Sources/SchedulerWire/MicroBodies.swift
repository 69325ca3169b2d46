package import JSONText

/// What an instance answers to NATS micro-services discovery (ADR-32), so that `nats micro ls|info|stats` find it.
package struct MicroService: Sendable, Equatable {
    /// `[A-Za-z0-9_-]+`, the same for every instance.
    package let name: String
    /// Unique for each instance.
    package let id: String
    /// A semantic version.
    package let version: String
    package let description: String
    package let metadata: [String: String]

    package init(name: String, id: String, version: String, description: String, metadata: [String: String] = [:]) {
        self.name = name
        self.id = id
        self.version = version
        self.description = description
        self.metadata = metadata
    }

    /// The nine subjects on which discovery asks: for each verb of all services, of this name, of this instance.
    ///
    /// They are plain subscriptions, no queue group: every instance answers.
    package func subjects(_ verb: MicroVerb, prefix: String = "$SRV") -> [String] {
        let all = "\(prefix).\(verb.rawValue)"
        return [all, "\(all).\(name)", "\(all).\(name).\(id)"]
    }

    package func writePing(into writer: inout JSONWriter) {
        writer.object { writer in
            writeIdentity("io.nats.micro.v1.ping_response", into: &writer)
        }
    }

    package func writeInfo(_ endpoints: [MicroEndpoint], into writer: inout JSONWriter) {
        writer.object { writer in
            writeIdentity("io.nats.micro.v1.info_response", into: &writer)
            writer.member("description", description)
            writer.array("endpoints") { writer in
                for endpoint in endpoints {
                    writer.object { writer in
                        endpoint.writeIdentity(into: &writer)
                        writeStrings("metadata", endpoint.metadata, into: &writer)
                    }
                }
            }
        }
    }

    /// - Parameter started: when the instance began to serve, RFC 3339 UTC with a fraction of a second: nats-py reads none
    ///   without it.
    package func writeStats(
        _ endpoints: [(MicroEndpoint, MicroEndpointStats)], started: String, into writer: inout JSONWriter
    ) {
        writer.object { writer in
            writeIdentity("io.nats.micro.v1.stats_response", into: &writer)
            writer.member("started", started)
            writer.array("endpoints") { writer in
                for (endpoint, stats) in endpoints {
                    writer.object { writer in
                        endpoint.writeIdentity(into: &writer)
                        stats.write(into: &writer)
                    }
                }
            }
        }
    }

    private func writeIdentity(_ type: String, into writer: inout JSONWriter) {
        writer.member("type", type)
        writer.member("name", name)
        writer.member("id", id)
        writer.member("version", version)
        writeStrings("metadata", metadata, into: &writer)
    }
}

package enum MicroVerb: String, Sendable, CaseIterable {
    case ping = "PING"
    case info = "INFO"
    case stats = "STATS"
}

/// One endpoint of a service: a subject that requests come in on.
package struct MicroEndpoint: Sendable, Equatable {
    /// `[A-Za-z0-9_-]+`
    package let name: String
    package let subject: String
    package let queueGroup: String
    package let metadata: [String: String]

    package init(name: String, subject: String, queueGroup: String, metadata: [String: String] = [:]) {
        self.name = name
        self.subject = subject
        self.queueGroup = queueGroup
        self.metadata = metadata
    }

    fileprivate func writeIdentity(into writer: inout JSONWriter) {
        writer.member("name", name)
        writer.member("subject", subject)
        writer.member("queue_group", queueGroup)
    }
}

/// What an endpoint has done since it started.
package struct MicroEndpointStats: Sendable, Equatable {
    package private(set) var requests: Int64 = 0
    /// Requests that were answered with an error.
    package private(set) var errors: Int64 = 0
    /// `code:description` of the last error, or empty.
    package private(set) var lastError = ""
    package private(set) var processingNanoseconds: Int64 = 0

    package init() {}

    /// Counts one request that was answered after so long, with an error or without.
    package mutating func record(nanoseconds: Int64, error: WireError? = nil) {
        requests += 1
        processingNanoseconds += nanoseconds
        guard let error else { return }
        errors += 1
        lastError = "\(error.code.httpStatus):\(error.description)"
    }

    fileprivate func write(into writer: inout JSONWriter) {
        writer.member("num_requests", requests)
        writer.member("num_errors", errors)
        writer.member("last_error", lastError)
        writer.member("processing_time", processingNanoseconds)
        writer.member("average_processing_time", requests == 0 ? 0 : processingNanoseconds / requests)
        // Optional in the standard, but nats-py reads no statistics without it; an object, as readers refuse null.
        writer.object("data") { _ in }
    }
}

/// Writes an object of strings, sorted by name so that the same metadata always reads the same.
private func writeStrings(_ name: StaticString, _ strings: [String: String], into writer: inout JSONWriter) {
    writer.object(name) { writer in
        for (key, value) in strings.sorted(by: { $0.key < $1.key }) {
            writer.name(dynamic: key)
            writer.value(value)
        }
    }
}
