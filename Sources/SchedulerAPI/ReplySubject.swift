import NATSClient

extension Subject {
    /// Where a requester wants its reply; nil where there is none, and where it is one of NATS's or of our own: to
    /// publish there would be to give an order in the requester's place, so it gets no answer.
    init?(replyOf text: String?, prefix: String) {
        guard let text, !text.hasPrefix("$"), text != prefix, !text.hasPrefix(prefix + ".") else { return nil }
        do { self = try Subject(text) } catch { return nil }
    }
}
