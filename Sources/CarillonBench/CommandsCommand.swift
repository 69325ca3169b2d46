import ArgumentParser
import JSONText
import LocalServers
import NATSClient
import ServiceFixture

/// *commands*: how many creations a second, one by one and in bulk, and what a page of a long list takes.
struct CommandsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "commands", abstract: "Creations a second, and pages of a list of many schedules.")

    @Option(help: "Seconds that each number of clients creates for.") var seconds = 10
    @Option(help: "Clients that create at once, one number after the other.") var clients: [Int] = [1, 50]
    @Option(help: "Requests of 1,000 schedules each.") var bulks = 10
    @Option(help: "Schedules stored when the list is read.") var stored = 1_000_000

    func run() async throws {
        let fixture = try await benchFixture()
        let instance = try await fixture.startInstance()
        let floor = try await CommandFloor(fixture: fixture)
        for count in clients {
            let least = try await RequestLoad(clients: count, seconds: seconds).run { _, number in
                try await floor.once(number)
            }
            print("\(count) clients, floor (a request and one durable row): \(least.line)")
            let load = RequestLoad(clients: count, seconds: seconds)
            let creations = try await load.run { client, number in
                try await create("c\(count)-\(client)-\(number)", on: fixture)
            }
            print("\(count) clients, schedule.create: \(creations.line)")
            print("  \(rounded(creations.perSecond / least.perSecond)) of the floor")
        }
        await floor.close()
        try await createInBulk(on: fixture)
        try await readPages(on: fixture)
        _ = await instance.stop()
        await fixture.stop()
    }

    private static func definition(_ name: String) -> String {
        #"{"name":"\#(name)","schedule_type":"cron","cron_expression":"0 9 * * MON-FRI","#
            + #""timezone":"Europe/Paris","target_command":"bench.cmd.1","command_payload":{"n":1}}"#
    }

    private func create(_ name: String, on fixture: ServiceFixture) async throws {
        let reply = try await fixture.command("schedule.create", Self.definition(name), namespace: "bench")
        try expectSuccess(reply)
    }

    private func createInBulk(on fixture: ServiceFixture) async throws {
        var took: [Int64] = []
        for bulk in 0..<bulks {
            let definitions = (0..<1000).map { Self.definition("b\(bulk)-\($0)") }.joined(separator: ",")
            let begun = wallClock()
            let reply = try await fixture.command(
                "schedule.bulk_create", #"{"schedules":[\#(definitions)]}"#, namespace: "bench", timeout: .seconds(30))
            took.append(wallClock() - begun)
            try expectSuccess(reply)
        }
        took.sort()
        let median = took[took.count / 2]
        print(
            "schedule.bulk_create of 1,000: median \(milliseconds(median)), slowest \(milliseconds(took[took.count - 1]))"
                + " = \(Int(1e9 / Double(median))) schedules/s")
    }

    /// Reads the whole list, and compares its first, middle and last pages.
    private func readPages(on fixture: ServiceFixture) async throws {
        try await ScheduleSeed(fixture: fixture).idle(stored)
        for sort in ["created_at", "name"] {
            var took: [Int64] = []
            var cursor: String?
            repeat {
                let after = cursor.map { #","cursor":"\#($0)""# } ?? ""
                let begun = wallClock()
                let page = try await fixture.command(
                    "schedule.list", #"{"limit":100,"sort":"\#(sort)"\#(after)}"#, namespace: "bench")
                took.append(wallClock() - begun)
                try expectSuccess(page)
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            let middle = took.count / 2
            print("\(stored) stored, schedule.list by \(sort), \(took.count) pages of 100:")
            for (name, pages) in [
                ("first", took.prefix(100)), ("middle", took[max(0, middle - 50)...].prefix(100)),
                ("last", took.suffix(100)),
            ] { print("  \(name) hundred pages: median \(milliseconds(pages.sorted()[pages.count / 2]))") }
        }
    }

    private func expectSuccess(_ reply: JSONValue) throws {
        guard let error = reply["error"] else { return }
        throw ValidationError(String(decoding: error.bytes, as: UTF8.self))
    }
}
