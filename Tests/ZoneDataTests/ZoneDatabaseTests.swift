import Foundation
import Recurrence
import Testing
import ZoneData

@Suite("The system's zone data")
struct ZoneDatabaseTests {
    let database = ZoneDatabase()

    @Test("every listed zone that is installed can be read")
    func readsAll() throws {
        let names = database.names
        #expect(names.count > 300)
        var readable = 0
        for name in names where !Self.isRefused(name, by: database) {
            _ = try database.rules(for: name)
            readable += 1
        }
        #expect(readable > 300)
    }

    private static func isRefused(_ name: String, by database: ZoneDatabase) -> Bool {
        do {
            _ = try database.rules(for: name)
            return false
        } catch {
            return error.code == .abbreviation || error.code == .unavailable
        }
    }

    @Test(
        "names that are no zones",
        arguments: [
            ("", .invalidName), ("../../etc/passwd", .invalidName), ("/etc/localtime", .invalidName),
            ("Europe/../Europe/Berlin", .invalidName), ("Europe/Berlin\0", .invalidName),
            ("Europe//Berlin", .invalidName),
            ("Europe/Berlin/", .invalidName), ("Europe/Bérlin", .invalidName), ("America/New York", .invalidName),
            ("-Europe", .invalidName), (String(repeating: "a", count: 65), .invalidName), ("<+03>-3", .invalidName),
            ("EST5EDT,M3.2.0,M11.1.0", .invalidName),
            ("Mars/Olympus", .unknownZone), ("Europe", .unknownZone), ("localtime", .unknownZone),
            ("posixrules", .unknownZone), ("right/UTC", .unknownZone), ("posix/Europe/Berlin", .unknownZone),
            ("tzdata.zi", .invalidName), ("leapseconds", .unknownZone), ("Factory", .unknownZone),
            ("EST", .abbreviation), ("est", .abbreviation), ("MST", .abbreviation), ("HST", .abbreviation),
            ("PST8PDT", .abbreviation), ("CET", .abbreviation), ("CEST", .abbreviation), ("IST", .abbreviation),
        ] as [(String, ZoneError.Code)])
    func refuses(name: String, code: ZoneError.Code) throws {
        let error = try #require(throws: ZoneError.self) { try database.rules(for: name) }
        #expect(error.code == code, "\(error)")
        #expect(error.zone == name)
        #expect(error.message.hasSuffix("."))
    }

    @Test("a wrong case and an abbreviation come with the better spelling")
    func suggests() throws {
        let wrongCase = try #require(throws: ZoneError.self) { try database.rules(for: "europe/berlin") }
        #expect(wrongCase.message.contains("write Europe/Berlin"))
        let abbreviation = try #require(throws: ZoneError.self) { try database.rules(for: "EST") }
        #expect(abbreviation.message.contains("write America/New_York"))
    }

    @Test("links are zones", arguments: ["GMT", "Etc/UTC", "Asia/Calcutta", "US/Eastern", "GB", "Etc/GMT+5"])
    func links(name: String) throws {
        #expect(try database.rules(for: name).name == name)
    }

    @Test("UTC works without any data")
    func utcAlways() throws {
        let empty = ZoneDatabase(root: "/nonexistent")
        #expect(try empty.rules(for: "UTC").offsetSeconds(at: .latest) == 0)
        #expect(empty.version == nil)
        #expect(empty.names.isEmpty)
        let error = try #require(throws: ZoneError.self) { try empty.rules(for: "Europe/Berlin") }
        #expect(error.code == .unavailable)
    }

    @Test("the release is told")
    func version() throws {
        let version = try #require(database.version)
        #expect(version.wholeMatch(of: #/20\d\d[a-z]+.*/#) != nil, "\(version)")
    }

    @Test("folders without tzdata.zi are read by their tables; what is listed but no zone is refused")
    func otherFolders() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "zones-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: "Europe/Folder"), withIntermediateDirectories: true)
        try Data(contentsOf: URL(filePath: database.root + "/Europe/Berlin"))
            .write(to: folder.appending(path: "Europe/Berlin"))
        try Data("no zone".utf8).write(to: folder.appending(path: "Europe/Broken"))
        try Data("2031x\n".utf8).write(to: folder.appending(path: "+VERSION"))
        let lines = ["Berlin", "Broken", "Missing", "Folder"].map { "XX\t+0000+00000\tEurope/\($0)\n" }
        try Data(("# codes\n" + lines.joined()).utf8).write(to: folder.appending(path: "zone1970.tab"))

        let database = ZoneDatabase(root: folder.path)
        #expect(database.version == "2031x")
        #expect(try database.rules(for: "Europe/Berlin") == self.database.rules(for: "Europe/Berlin"))
        let expected: [(String, ZoneError.Code)] = [
            ("Europe/Broken", .malformedData), ("Europe/Missing", .unavailable), ("Europe/Folder", .unavailable),
        ]
        for (name, code) in expected {
            let error = try #require(throws: ZoneError.self) { try database.rules(for: name) }
            #expect(error.code == code)
        }
    }

    @Test("a changed folder is noticed: one zone, the release, a zone that goes; an emptied folder is none")
    func looks() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "zones-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: "Europe"), withIntermediateDirectories: true)
        func put(_ name: String, as place: String) throws {
            try Data(contentsOf: URL(filePath: self.database.root + "/" + name))
                .write(to: folder.appending(path: place), options: .atomic)
        }
        func list(_ lines: [String]) throws {
            try Data(lines.map { $0 + "\n" }.joined().utf8)
                .write(to: folder.appending(path: "tzdata.zi"), options: .atomic)
        }
        let zones = ["Z Europe/Berlin 0 - A", "Z Europe/Moscow 0 - A"]
        try list(["# version 2031a"] + zones)
        try put("Europe/Berlin", as: "Europe/Berlin")
        try put("Europe/Moscow", as: "Europe/Moscow")
        let database = ZoneDatabase(root: folder.path)
        #expect(database.fingerprint == nil && database.look() == nil)
        let first = try #require(database.fingerprint)
        let (berlin, moscow) = (try database.rules(for: "Europe/Berlin"), try database.rules(for: "Europe/Moscow"))
        #expect(database.look() == nil)
        // Written again as it was: another file, the same data.
        try put("Europe/Moscow", as: "Europe/Moscow")
        #expect(database.look() == nil && database.fingerprint == first)

        try put("Asia/Tokyo", as: "Europe/Moscow")
        #expect(try database.rules(for: "Europe/Moscow") == moscow)
        #expect(database.look() == ZoneChange(zones: ["Europe/Moscow"], before: "2031a", after: "2031a"))
        #expect(try database.rules(for: "Europe/Moscow").offsetSeconds(at: Instant(milliseconds: 0)) == 9 * 3600)
        #expect(try database.rules(for: "Europe/Berlin") === berlin)
        #expect(database.look() == nil && database.fingerprint != first)

        try list(["# version 2031b"] + zones)
        #expect(database.look() == ZoneChange(zones: [], before: "2031a", after: "2031b"))
        try FileManager.default.removeItem(at: folder.appending(path: "tzdata.zi"))
        #expect(database.look() == nil)
        #expect(try database.rules(for: "Europe/Berlin") === berlin)
        try list(["# version 2031c", zones[0]])
        #expect(database.look() == ZoneChange(zones: ["Europe/Moscow"], before: "2031b", after: "2031c"))
        #expect(throws: ZoneError.self) { try database.rules(for: "Europe/Moscow") }
    }

    @Test("the same rules are shared, from any number of tasks")
    func shares() async throws {
        let database = database
        let rules = try await withThrowingTaskGroup(of: ZoneRules.self) { group in
            for index in 0..<64 {
                group.addTask { try database.rules(for: ["Europe/Berlin", "Asia/Tokyo"][index % 2]) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(rules.map(\.name)) == ["Europe/Berlin", "Asia/Tokyo"])
        #expect(try database.rules(for: "Asia/Tokyo") === database.rules(for: "Asia/Tokyo"))
    }
}
