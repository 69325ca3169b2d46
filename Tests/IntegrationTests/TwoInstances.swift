import JSONText
import ServiceFixture

/// One system of two instances, for the suites in which several answer the same namespace: started at its first use,
/// ended with the process.
struct TwoInstances {
    let fixture: ServiceFixture
    let instances: [ServiceInstance]

    private static let starting = Task { () async throws -> TwoInstances in
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        async let one = fixture.startInstance("one")
        async let two = fixture.startInstance("two")
        return TwoInstances(fixture: fixture, instances: [try await one, try await two])
    }

    static var running: TwoInstances { get async throws { try await starting.value } }
}

extension ServiceFixture {
    /// Sends the same command so many times at once. - Returns: the replies.
    func together(
        _ count: Int, _ command: String, in namespace: String, _ body: @escaping @Sendable (Int) -> String
    ) async throws -> [JSONValue] {
        try await withThrowingTaskGroup(of: JSONValue.self) { tasks in
            for index in 0..<count {
                tasks.addTask {
                    try await self.command(command, body(index), namespace: namespace, timeout: .seconds(20))
                }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
    }
}

extension JSONValue {
    /// `pointer: from -> to` of each change that a reply tells.
    var changes: [String] {
        items("changes").map { change in
            let values = ["from", "to"].map { change[$0].map { String(decoding: $0.bytes, as: UTF8.self) } ?? "?" }
            return "\(change["pointer"]?.string ?? "?"): \(values[0]) -> \(values[1])"
        }
    }
}
