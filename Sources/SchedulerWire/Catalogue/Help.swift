import JSONText
package import Recurrence

/// What `<p>.help` answers: text to read, or the same as JSON where the request says so.
///
/// The request is empty, the name of a command (`schedule.create`) or of a noun, or
/// `{"command":"schedule.create","format":"json"}`.
package struct Help: Sendable {
    package struct Answer: Sendable {
        package let body: [UInt8]
        /// Why there is no page; the reply's headers say it too.
        package let failure: WireError?
    }

    private enum Format: String, CaseIterable {
        case text
        case json
    }

    /// As an endpoint of the micro protocol; its reply's type is that of a command of this name.
    package static let name = "help"
    package static let requestSchema = "carillon:schemas/commands/help.request.v1.json"
    package static let replySchema = "carillon:schemas/commands/help.reply.v1.json"
    private static let envelope = Envelope(noun: "system", verb: "help")
    private static let mostBytes = 4096

    private let prefix: String
    private let now: Instant

    /// - Parameter now: what examples that lie ahead lie ahead of.
    package init(prefix: String, now: Instant) {
        self.prefix = prefix
        self.now = now
    }

    package func answer(_ request: [UInt8]) -> Answer {
        var format = Format.text
        do throws(WireError) {
            let wanted = try read(request, &format)
            let pages = try Self.pages(wanted)
            return Answer(body: format == .text ? text(pages, isAll: wanted == nil) : json(pages), failure: nil)
        } catch {
            guard format == .json else { return Answer(body: Array("\(error.description)\n".utf8), failure: error) }
            var writer = JSONWriter(capacity: 512)
            Self.envelope.failure(error, into: &writer)
            return Answer(body: writer.bytes, failure: error)
        }
    }

    /// - Returns: the name that is asked for; nil for all.
    private func read(_ request: [UInt8], _ format: inout Format) throws(WireError) -> String? {
        guard request.count <= Self.mostBytes else {
            // Nobody types so much: what begins as JSON does is a program's, whatever it goes on to say.
            if request.first == UInt8(ascii: "{") { format = .json }
            throw WireError(.requestTooLarge, "expected a command's name, got \(request.count) bytes")
        }
        let text = String(decoding: request, as: UTF8.self)
        let name = text.split(whereSeparator: \.isWhitespace).joined(separator: ".")
        guard name.hasPrefix("{") || name.hasPrefix("\"") || name == "null" else { return name.isEmpty ? nil : name }
        let body: JSONValue
        do { body = try JSONValue.parse(request) } catch { throw WireError(error) }
        if let name = body.string { return name.isEmpty ? nil : name }
        var reader = BodyReader(body)
        format = reader.choice("format") ?? .text
        let command = reader.string("command", most: 128)
        try reader.finish()
        return command
    }

    private static func pages(_ name: String?) throws(WireError) -> [CommandPage] {
        guard let name else { return CommandCatalogue.all }
        // Somebody may paste a whole subject: its last tokens are the command's name.
        let pages = CommandCatalogue.all.filter {
            $0.name == name || $0.noun == name || name.hasSuffix(".\($0.noun).\($0.verb)")
        }
        guard pages.isEmpty else { return pages }
        throw CommandCatalogue.unknown(String(name.prefix(64)))
    }
}

// MARK: - To read

extension Help {
    private func text(_ pages: [CommandPage], isAll: Bool) -> [UInt8] {
        if pages.count == 1 { return Array(page(pages[0]).utf8) }
        var text = ""
        if isAll {
            text = """
                Carillon sends commands at a time, on a rhythm, or when asked. You tell it so by requests over NATS: a body is a
                JSON object or empty, a reply is a JSON object, and it failed if there is an `error` in it.

                  \(prefix).cmd.<namespace>.<noun>.<verb>      for the creator <namespace>; `demo` in these examples
                  \(prefix).submit.<namespace>.<noun>.<verb>   what changes something, kept until it is carried out; no reply
                  \(prefix).admin.<noun>.<verb>                for admins

                More about one command: nats req \(prefix).\(Self.name) schedule.create
                For programs:           nats req \(prefix).\(Self.name) '{"format":"json"}'


                """
        }
        let blocks = pages.map { page in
            ([page.name + "  " + page.summary] + lines(page).prefix(1).map { "  " + $0 }).joined(separator: "\n")
        }
        return Array((text + blocks.joined(separator: "\n\n") + "\n").utf8)
    }

    private func page(_ page: CommandPage) -> String {
        let options =
            page.isChanging
            ? "It changes something: it takes request_id, actor, reason and dry_run too.\n" : ""
        let submitted =
            page.mayBeSubmitted
            ? "It may be submitted: \(prefix).submit.<namespace>.\(page.name) has no reply, but an event.\n" : ""
        return """
            \(page.name)
            \(page.summary)
            \(options)\(submitted)
            \(lines(page).map { "  " + $0 }.joined(separator: "\n"))

            Fields of the request: \(page.requestSchema.dropFirst("carillon:".count))
            Fields of the reply:   \(page.replySchema.dropFirst("carillon:".count))

            """
    }

    private func lines(_ page: CommandPage) -> [String] { examples(page).map(\.line) }

    private func examples(_ page: CommandPage) -> [ExampleText] {
        page.examples.map { ExampleText($0, of: page, prefix: prefix, now: now) }
    }
}

// MARK: - For programs

extension Help {
    private func json(_ pages: [CommandPage]) -> [UInt8] {
        var writer = JSONWriter(capacity: 16_384)
        Self.envelope.success(into: &writer) { writer in
            writer.object("help") { writer in
                writer.array("commands") { writer in
                    for page in pages { write(page, into: &writer) }
                }
            }
        }
        return writer.bytes
    }

    private func write(_ page: CommandPage, into writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", page.name)
            writer.member("kind", page.kind.rawValue)
            writer.member("subject", page.subject(prefix: prefix, namespace: "<namespace>"))
            writer.member("summary", page.summary)
            writer.member("changes", page.isChanging)
            writer.member("may_be_submitted", page.mayBeSubmitted)
            writer.member("request_schema", page.requestSchema)
            writer.member("reply_schema", page.replySchema)
            writer.array("examples") { writer in
                for example in examples(page) {
                    writer.object { writer in
                        writer.member("subject", example.subject)
                        writer.member("body", example.body)
                    }
                }
            }
        }
    }
}
