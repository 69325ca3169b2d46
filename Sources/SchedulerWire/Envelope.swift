package import JSONText

/// The frame of every reply: a `type`, and either the result's members or an `error`. The presence of `error` is the
/// one test of failure.
package struct Envelope: Sendable, Equatable {
    /// `io.carillon.v1.<noun>_<verb>_response`
    package let type: String

    /// - Parameters: the tokens of the command's subject; of an unknown command too, so that its refusal can be
    ///   matched to it.
    package init(noun: String, verb: String) {
        type = "io.carillon.v1.\(noun)_\(verb)_response"
    }

    /// Writes a successful reply; `members` writes the result under its noun.
    package func success<Failure>(
        into writer: inout JSONWriter, _ members: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        writer.beginObject()
        writer.member("type", type)
        try members(&writer)
        writer.endObject()
    }

    /// Writes a reply that says why not.
    package func failure(_ error: WireError, into writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("type", type)
            writer.name("error")
            error.write(into: &writer)
        }
    }

    /// The headers of a reply that says why not, as micro-service clients expect them.
    package static func headers(_ error: WireError) -> [(name: String, value: String)] {
        [
            ("Nats-Service-Error", headerText(error.description)),
            ("Nats-Service-Error-Code", String(error.code.httpStatus)),
        ]
    }

    /// A sentence as a header's value: printable ASCII, at most 256 bytes. A header is a line, so a CR or LF out of a
    /// requester's own text would let it write headers of ours.
    static func headerText(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(256).map { scalar -> UInt8 in
            if scalar.value < 0x20 || scalar.value == 0x7F { return UInt8(ascii: " ") }
            return scalar.isASCII ? UInt8(scalar.value) : UInt8(ascii: "?")
        }
        return String(decoding: scalars, as: UTF8.self)
    }
}
