/// What this program needs to know of a stream.
package struct StreamInfo: Sendable, Equatable {
    package var name = ""
    package var subjects: [String] = []
    package var retention = ""
    package var storage = ""
    /// What is dropped when the stream is full: `old` or `new`.
    package var discard = ""
    package var replicas = 1
    /// The time in which JetStream recognises a `Nats-Msg-Id`, as the server granted it.
    package var duplicateWindow: Duration = .zero
    /// Zero: no limit.
    package var maximumAge: Duration = .zero
    package var allowsDirectReads = false
    /// -1: no limit.
    package var maximumMessagesPerSubject: Int64 = -1
    /// RFC 3339; another value means another stream of the same name.
    package var created = ""
    package var messages: UInt64 = 0
    package var firstSequence: UInt64 = 0
    package var lastSequence: UInt64 = 0
    /// The server that leads a replicated stream; nil for a single server, or while there is no leader.
    package var leader: String?

    init(_ reply: [UInt8], name: String) throws(NATSError) {
        let isObject = reply.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return cursor.forEachMember { key, cursor in
                if key.equals("config") {
                    readConfiguration(&cursor)
                } else if key.equals("state") {
                    readState(&cursor)
                } else if key.equals("created") {
                    created = cursor.string() ?? ""
                } else if key.equals("cluster") {
                    cursor.forEachMember { key, cursor in if key.equals("leader") { leader = cursor.string() } }
                }
            }
        }
        guard isObject, self.name == name else { throw .malformed("the stream's info", name) }
    }

    private mutating func readConfiguration(_ cursor: inout JSONCursor) {
        cursor.forEachMember { key, cursor in
            if key.equals("name") {
                name = cursor.string() ?? ""
            } else if key.equals("subjects") {
                cursor.forEachElement { cursor in if let subject = cursor.string() { subjects.append(subject) } }
            } else if key.equals("retention") {
                retention = cursor.string() ?? ""
            } else if key.equals("storage") {
                storage = cursor.string() ?? ""
            } else if key.equals("discard") {
                discard = cursor.string() ?? ""
            } else if key.equals("num_replicas") {
                replicas = Int(clamping: cursor.unsigned() ?? 1)
            } else if key.equals("duplicate_window") {
                duplicateWindow = .nanoseconds(cursor.signed() ?? 0)
            } else if key.equals("max_age") {
                maximumAge = .nanoseconds(cursor.signed() ?? 0)
            } else if key.equals("max_msgs_per_subject") {
                maximumMessagesPerSubject = cursor.signed() ?? -1
            } else if key.equals("allow_direct") {
                allowsDirectReads = cursor.bool() ?? false
            }
        }
    }

    private mutating func readState(_ cursor: inout JSONCursor) {
        cursor.forEachMember { key, cursor in
            if key.equals("messages") {
                messages = cursor.unsigned() ?? 0
            } else if key.equals("first_seq") {
                firstSequence = cursor.unsigned() ?? 0
            } else if key.equals("last_seq") {
                lastSequence = cursor.unsigned() ?? 0
            }
        }
    }
}
