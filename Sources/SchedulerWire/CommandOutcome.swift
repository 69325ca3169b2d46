import JSONText

/// What became of a submitted command, for its event: the members of `data` beside those that every change has.
package struct CommandOutcome: Sendable, Equatable {
    /// What an accepted command did.
    package enum Effect: String, Sendable, CaseIterable {
        /// What it asked for was carried out.
        case applied
        /// The same `request_id` with the same body was carried out before: nothing was done again.
        case repeated
        /// `dry_run`: it would have been carried out.
        case rehearsed
    }

    package enum Verdict: Sendable, Equatable {
        case accepted(Effect)
        case rejected(WireError)
    }

    /// The tokens of its subject; nil where it had none.
    package var noun: String?
    package var verb: String?
    /// What it was published on.
    package var subject: String
    /// Where it stood in the stream.
    package var sequence: UInt64
    package var verdict: Verdict

    package init(noun: String?, verb: String?, subject: String, sequence: UInt64, verdict: Verdict) {
        self.noun = noun
        self.verb = verb
        self.subject = subject
        self.sequence = sequence
        self.verdict = verdict
    }

    /// The name of its event.
    package var event: EventType {
        switch verdict {
        case .accepted: .commandAccepted
        case .rejected: .commandRejected
        }
    }

    /// An event must fit a message whatever a body's problems quote of it: beyond this the details are left out.
    private static let mostBytes = 16 << 10
    private static let mostDescription = 1024

    package var text: [UInt8] {
        let text = written(error: nil)
        guard text.count > Self.mostBytes, case .rejected(let error) = verdict else { return text }
        return written(
            error: WireError(error.code, String(error.description.prefix(Self.mostDescription)), details: []))
    }

    private func written(error shortened: WireError?) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            writer.member("noun", ifPresent: noun.map(Self.bounded))
            writer.member("verb", ifPresent: verb.map(Self.bounded))
            writer.member("command_subject", Self.bounded(subject))
            writer.member("stream_sequence", sequence)
            switch verdict {
            case .accepted(let effect): writer.member("effect", effect.rawValue)
            case .rejected(let error):
                writer.name("error")
                (shortened ?? error).write(into: &writer)
            }
        }
        return writer.bytes
    }

    private static func bounded(_ text: String) -> String { String(text.prefix(256)) }
}
