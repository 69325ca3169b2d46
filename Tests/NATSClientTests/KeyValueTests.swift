import LocalServers
import NATSClient
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct KeyValueTests {
    @Test func writesAreConditional() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let bucket = try await KeyValueBucket.bindOrCreate("B", JetStreamAPI(connection))
        let key = try BucketKey("a.b")
        let first = try await bucket.create(key, [1])
        #expect(await errorCode { try await bucket.create(key, [2]) } == .conflict)
        let second = try await bucket.update(key, [3], revision: first)
        #expect(await errorCode { try await bucket.update(key, [4], revision: first) } == .conflict)
        #expect(await errorCode { try await bucket.delete(key, revision: first) } == .conflict)
        #expect(try await bucket.get(key) == BucketEntry(key: "a.b", value: [3], revision: second, isDeleted: false))
        #expect(try await bucket.keys() == ["a.b"])
        try await bucket.delete(key, revision: second)
        #expect(try await bucket.get(key) == nil)
        #expect(try await bucket.get(BucketKey("never")) == nil)
        #expect(try await bucket.keys() == [])
        await connection.close()
    }

    @Test func anExistingBucketIsTakenAsItIs() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let jetstream = JetStreamAPI(connection)
        #expect(await errorCode { try await KeyValueBucket.bind("B", jetstream) } == .streamNotFound)
        _ = try await KeyValueBucket.bindOrCreate("B", jetstream, timeToLive: .seconds(50))
        let again = try await KeyValueBucket.bindOrCreate("B", jetstream, timeToLive: .seconds(10))
        #expect(again.info.maximumAge == .seconds(50))
        #expect(again.info.duplicateWindow == .seconds(50))
        #expect(again.info.subjects == ["$KV.B.>"])
        #expect(try await jetstream.accountInfo().streams == 1)
        await connection.close()
    }

    @Test(arguments: ["", "a b", ".a", "a.", "a..b", "a*", ">", "ä", "a\r\n"])
    func refusesKeys(text: String) {
        #expect(throws: NATSError.self) { try BucketKey(text) }
    }

    @Test(arguments: [[], [0], [0, 255], Array("any carnal pleas".utf8), Array(0...255)] as [[UInt8]])
    func storedBytesComeBack(value: [UInt8]) async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let bucket = try await KeyValueBucket.bindOrCreate("B", JetStreamAPI(connection))
        _ = try await bucket.put(BucketKey("k"), value)
        #expect(try await bucket.get(BucketKey("k"))?.value == value)
        await connection.close()
    }

    @Test func aWatchTellsSnapshotChangesAndRestarts() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let jetstream = JetStreamAPI(connection)
        let bucket = try await KeyValueBucket.bindOrCreate("B", jetstream)
        _ = try await bucket.put(BucketKey("x.1"), [1])
        _ = try await bucket.put(BucketKey("x.1"), [2])
        _ = try await bucket.put(BucketKey("y.1"), [9])
        let told = Recorder<BucketWatchEvent>()
        let watch = try bucket.watch("x.*")
        let reader = Task { for await event in watch { told.record(event) } }
        #expect(await told.wait { $0.contains(.snapshotEnded) })
        #expect(told.all.filter { $0 != .heartbeat } == [.snapshotStarted, entry("x.1", [2], 2), .snapshotEnded])
        _ = try await bucket.put(BucketKey("x.2"), [3])
        try await bucket.delete(BucketKey("x.1"), revision: 2)
        #expect(await told.wait { $0.contains(entry("x.2", [3], 4)) && $0.contains(entry("x.1", [], 5, true)) })
        #expect(await told.wait { $0.contains(.heartbeat) })

        // The server dies and comes back: a new snapshot.
        await server.kill()
        try await server.start()
        #expect(await told.wait { $0.count { $0 == .snapshotEnded } == 2 })

        // The bucket is lost and made anew: another one, once the server's silence is noticed.
        try await jetstream.deleteStream("KV_B")
        let anew = try await KeyValueBucket.bindOrCreate("B", jetstream)
        _ = try await anew.put(BucketKey("x.9"), [7])
        #expect(await told.wait { $0.contains(entry("x.9", [7], 1)) })
        reader.cancel()
        await reader.value
        await connection.close()
    }

    private func entry(_ key: String, _ value: [UInt8], _ revision: UInt64, _ deleted: Bool = false)
        -> BucketWatchEvent
    {
        .entry(BucketEntry(key: key, value: value, revision: revision, isDeleted: deleted))
    }
}
