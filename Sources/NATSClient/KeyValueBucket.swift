/// A key of a bucket, checked: `[-/_=.a-zA-Z0-9]`, no dot at an end, none beside another; at most 512 bytes.
package struct BucketKey: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// - Throws: `.invalidSubject`.
    package init(_ text: String) throws(NATSError) {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-/_=.".utf8.contains(byte)
        }
        let tokens = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        let hasEmptyToken = tokens.contains(where: \.isEmpty)
        guard isPlain, !hasEmptyToken, text.utf8.count <= 512 else {
            throw NATSError(
                .invalidSubject, "A key must be dot-separated tokens of [-/_=a-zA-Z0-9], at most 512 bytes.",
                context: SubjectGrammar.printable(text))
        }
        description = text
    }
}

/// One value of a key, or the mark that it was deleted.
package struct BucketEntry: Sendable, Equatable {
    package var key: String
    package var value: [UInt8]
    /// The stream's sequence: grows with each write of any key. It starts again at 1 in a bucket made anew, and may go
    /// back when a server loses power: no fencing token.
    package var revision: UInt64
    package var isDeleted: Bool

    package init(key: String, value: [UInt8], revision: UInt64, isDeleted: Bool) {
        self.key = key
        self.value = value
        self.revision = revision
        self.isDeleted = isDeleted
    }
}

/// A JetStream key-value bucket, as far as it is safe on nats-server 2.9.10.
///
/// Every write goes to the stream with the answer awaited; every read goes to the stream's leader (`STREAM.MSG.GET`),
/// never to a replica. Even so a read proves nothing about now: only an acknowledged conditional write does. And on a
/// replicated bucket before 2.9.21 `update` at the same revision can succeed twice, as can `create` over a deleted key;
/// `create` of a key never used is safe everywhere.
package struct KeyValueBucket: Sendable {
    package let name: String
    package let jetstream: JetStreamAPI
    /// As it was at the time of binding.
    package let info: StreamInfo

    var stream: String { "KV_" + name }
    var connection: NATSConnection { jetstream.connection }

    /// Binds to an existing bucket. Its settings are taken as they are and never changed.
    /// - Throws: `.streamNotFound`.
    package static func bind(_ name: String, _ jetstream: JetStreamAPI) async throws(NATSError) -> KeyValueBucket {
        try check(name)
        guard let info = try await jetstream.streamInfo("KV_" + name) else {
            throw NATSError(.streamNotFound, "There is no such bucket.", context: name)
        }
        return KeyValueBucket(name: name, jetstream: jetstream, info: info)
    }

    /// Binds, and makes the bucket first when it is missing: history 1, file storage, discard new.
    /// - Parameters:
    ///   - timeToLive: when the server removes a value that was not written again; zero: never.
    ///   - maximumBytes: a bucket that is full refuses writes, so be generous.
    package static func bindOrCreate(
        _ name: String, _ jetstream: JetStreamAPI, timeToLive: Duration = .zero, replicas: Int = 1,
        maximumBytes: Int = 64 << 20
    ) async throws(NATSError) -> KeyValueBucket {
        do throws(NATSError) {
            return try await bind(name, jetstream)
        } catch {
            guard error.code == .streamNotFound else { throw error }
        }
        // The same window rule as NATS' own clients: at most two minutes, never over the TTL.
        let age = timeToLive.nanoseconds
        let window = age > 0 ? min(age, 120_000_000_000) : 120_000_000_000
        let configuration = """
            {"name":"KV_\(name)","subjects":["$KV.\(name).>"],"retention":"limits","storage":"file","discard":"new",\
            "max_msgs_per_subject":1,"max_age":\(age),"duplicate_window":\(window),"num_replicas":\(replicas),\
            "max_bytes":\(maximumBytes),"max_msg_size":-1,"max_msgs":-1,"max_consumers":-1,\
            "allow_rollup_hdrs":true,"deny_delete":true,"allow_direct":true}
            """
        do throws(NATSError) {
            let info = try await jetstream.createStream("KV_" + name, configuration: configuration)
            return KeyValueBucket(name: name, jetstream: jetstream, info: info)
        } catch {
            guard case .jetStream(_, let code) = error.code, code == 10_058 || code == 10_065 else { throw error }
            return try await bindToAnothers(name, jetstream, after: error)
        }
    }

    /// Made by another meanwhile, perhaps with other settings: theirs hold. While that other's request is under way the
    /// server calls it an overlap of subjects (10065), and shows no stream for another moment.
    private static func bindToAnothers(
        _ name: String, _ jetstream: JetStreamAPI, after refusal: NATSError
    ) async throws(NATSError) -> KeyValueBucket {
        for _ in 0..<10 {
            do throws(NATSError) {
                return try await bind(name, jetstream)
            } catch {
                guard error.code == .streamNotFound else { throw error }
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        throw refusal
    }

    // MARK: Writing

    /// Writes a key that has never had a value, or none that is left.
    /// - Throws: `.conflict` when it has one, or was deleted and the mark is still there.
    package func create(_ key: BucketKey, _ value: [UInt8]) async throws(NATSError) -> UInt64 {
        try await write(key, value, expecting: 0)
    }

    /// Replaces the value that has `revision`.
    /// - Throws: `.conflict` when the key has another one by now.
    package func update(_ key: BucketKey, _ value: [UInt8], revision: UInt64) async throws(NATSError) -> UInt64 {
        try await write(key, value, expecting: revision)
    }

    package func put(_ key: BucketKey, _ value: [UInt8]) async throws(NATSError) -> UInt64 {
        try await write(key, value, expecting: nil)
    }

    /// Marks a key as deleted.
    /// - Parameter revision: delete only if the key still has it; nil: whatever it has.
    /// - Throws: `.conflict`.
    @discardableResult
    package func delete(_ key: BucketKey, revision: UInt64?) async throws(NATSError) -> UInt64 {
        try await write(key, [], expecting: revision, operation: "DEL")
    }

    /// - Throws: `.conflict`; `.timeout`, `.connectionLost` and `.malformedReply` leave it unknown whether it was
    ///   written.
    private func write(
        _ key: BucketKey, _ value: [UInt8], expecting revision: UInt64?, operation: String? = nil
    ) async throws(NATSError) -> UInt64 {
        var headers = NATSHeaders()
        if let revision { try headers.append(.expectedLastSubjectSequence, String(revision)) }
        if let operation { try headers.append(.keyValueOperation, operation) }
        let reply = try await connection.request(
            subject(key), headers: headers, payload: value, timeout: jetstream.timeout)
        var reader = PubAckReader()
        let context = "\(name)/\(key)"
        switch reply.payload.withUnsafeBytes({ reader.outcome(of: $0) }) {
        case .acknowledged(let from, let sequence, _) where from == stream: return sequence
        case .refused(let code, let errCode, let description):
            throw NATSError(
                JetStreamRefusal(code: code, errCode: errCode, description: description), context: context)
        case .tooLarge: throw NATSError(.payloadTooLarge, "The value is over the bucket's limit.", context: context)
        default: throw .malformed("the acknowledgement of \(stream)", context)
        }
    }

    // MARK: Reading

    /// The value as the leader has it; nil when there is none or it was deleted.
    package func get(_ key: BucketKey) async throws(NATSError) -> BucketEntry? {
        do throws(NATSError) {
            let message = try await jetstream.lastMessage(in: stream, on: subject(key))
            let entry = BucketEntry(
                key: key.description, value: message.payload, revision: message.sequence,
                isDeleted: message.header("KV-Operation") != nil)
            return entry.isDeleted ? nil : entry
        } catch {
            if error.code == .keyNotFound { return nil }
            throw error
        }
    }

    /// The keys that have a value, in the order of their last write.
    package func keys(matching filter: String = ">") async throws(NATSError) -> [String] {
        let watch = try watch(filter)
        defer { watch.cancel() }
        var keys: [String] = []
        for await event in watch {
            switch event {
            case .entry(let entry): if !entry.isDeleted { keys.append(entry.key) }
            case .snapshotStarted: keys = []
            case .snapshotEnded: return keys
            case .heartbeat: break
            }
        }
        throw NATSError(.connectionLost, "The watch ended before the snapshot did.", context: name)
    }

    /// Follows the keys that match. See ``BucketWatch``.
    package func watch(_ filter: String = ">", capacity: Int = 4096) throws(NATSError) -> BucketWatch {
        BucketWatch(self, try SubjectFilter("$KV.\(name).\(filter)"), capacity: capacity)
    }

    private func subject(_ key: BucketKey) throws(NATSError) -> Subject { try Subject("$KV.\(name).\(key)") }

    private static func check(_ name: String) throws(NATSError) {
        let isPlain = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-_".utf8.contains(byte)
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= 128 else {
            throw NATSError(
                .invalidSubject, "A bucket's name must match [A-Za-z0-9_-]{1,128}.",
                context: SubjectGrammar.printable(name))
        }
    }
}

extension KeyValueBucket {
    /// The same bucket through another face of the API, such as one with a shorter time-out.
    package func with(_ jetstream: JetStreamAPI) -> KeyValueBucket {
        KeyValueBucket(name: name, jetstream: jetstream, info: info)
    }
}
