import JSONText
import LocalServers
import NATSClient
import Recurrence
import ServiceFixture
import Testing

/// Schedules of which is known, to the millisecond, what they have to fire.
struct Load: Sendable {
    enum Delivery: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case jetstream
        case core
        /// Somebody has to answer.
        case request

        /// Those of the crash matrix; requests have tests of their own.
        static let plain: [Delivery] = [.jetstream, .core]

        var testDescription: String { rawValue }
    }

    /// The schedules by their ids, each with the instants (ms since 1970) of its occurrences.
    private(set) var occurrences: [String: Set<Int64>] = [:]
    let delivery: Delivery
    let namespace: String
    /// What the messages are published on; also what an observer listens to.
    let subject: String
    let beginsAt: Int64
    let endsAt: Int64

    var total: Int { occurrences.values.reduce(0) { $0 + $1.count } }

    /// Makes `rate` schedules that fire every `period` milliseconds for `seconds`, spread evenly over the period, and
    /// `oneShots` one-shot ones.
    ///
    /// - Parameter fields: further ones of each schedule, as `,"name":value`.
    ///
    /// All of them catch up on everything (`fire_all`), so that every occurrence has to be delivered, whatever happens.
    static func start(
        _ fixture: ServiceFixture, named name: String, delivery: Delivery = .jetstream, rate: Int, seconds: Int,
        every period: Int64 = 1000, after lead: Int64 = 1500, oneShots: Int = 0, fields: String = ""
    ) async throws -> Load {
        let beginsAt = wallMilliseconds() + lead
        let endsAt = beginsAt + Int64(seconds) * 1000
        var load = Load(
            delivery: delivery, namespace: name,
            subject: "demo.\(delivery == .jetstream ? "js" : delivery.rawValue).\(name)",
            beginsAt: beginsAt, endsAt: endsAt)
        let common = """
            "target_command":"\(load.subject)","delivery":"\(delivery)","misfire_policy":"fire_all","catchup_limit":1000\(fields)
            """
        var bodies: [(body: String, instants: Set<Int64>)] = []
        for index in 0..<rate {
            let first = beginsAt + Int64(index) * period / Int64(rate)
            let last = first + Int64(seconds) * 1000 - period
            let timing = """
                "schedule_type":"interval","interval_seconds":\(Double(period) / 1000),\
                "start_at":"\(time(first))","end_at":"\(time(last))"
                """
            let instants = stride(from: first, through: last, by: Int64.Stride(period))
            bodies.append(("{\(timing),\(common)}", Set(instants)))
        }
        for index in 0..<oneShots {
            let at = beginsAt + (endsAt - beginsAt) * Int64(index) / Int64(oneShots)
            bodies.append(("{\"schedule_type\":\"once\",\"run_at\":\"\(time(at))\",\(common)}", [at]))
        }
        for (body, instants) in bodies {
            let reply = try await fixture.changing("schedule.create", body, namespace: name)
            guard let id = reply["schedule"]?["id"]?.string else {
                let text = String(decoding: reply.bytes, as: UTF8.self)
                throw FixtureError(description: "expected a schedule, got: \(text)")
            }
            load.occurrences[id] = owed(of: instants, since: reply["schedule"]?["next_fire_at"]?.string)
        }
        return load
    }

    /// A schedule that came to be behind its first instants, on a machine that is busy, does not owe them.
    private static func owed(of instants: Set<Int64>, since next: String?) -> Set<Int64> {
        guard let first = instants.min(), wallMilliseconds() > first else { return instants }
        guard let next = next.flatMap({ Instant(rfc3339: $0) }) else { return [] }
        return instants.filter { $0 >= next.milliseconds }
    }

    static func time(_ milliseconds: Int64) -> String { Instant(milliseconds: milliseconds).rfc3339 }
}

extension ServiceFixture {
    /// A changing command, sent again with the same `request_id` for as long as nobody answers or nobody can.
    ///
    /// - Parameter body: an object with at least one member.
    func changing(
        _ command: String, _ body: String, namespace: String, requestID: String? = nil,
        within limit: Duration = .seconds(30)
    ) async throws -> JSONValue {
        let requestID = requestID ?? "r\(UInt64.random(in: 0...UInt64.max))"
        let body = "{\"request_id\":\"\(requestID)\",\(body.dropFirst())"
        let deadline = ContinuousClock.now + limit
        while true {
            do {
                let reply = try await self.command(command, body, namespace: namespace, timeout: .milliseconds(2500))
                let code = reply["error"]?["code"]?.int64
                if code != 503, code != 504 { return reply }
                guard ContinuousClock.now < deadline else { return reply }
            } catch let error as NATSError {
                guard ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits until `moment`, in milliseconds since 1970: for loads, whose work has times of its own.
    func reach(_ moment: Int64) async throws {
        let left = moment - wallMilliseconds()
        if left > 0 { try await Task.sleep(for: .milliseconds(left)) }
    }
}
