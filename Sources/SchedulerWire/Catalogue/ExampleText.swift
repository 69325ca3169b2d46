package import Recurrence

/// An example as it is shown: with instants a day from now where the page says `TOMORROW` and `YESTERDAY`.
///
/// `EXECUTION_ID` stays as it is: who pastes it puts in an id that another reply has shown.
package struct ExampleText: Sendable, Hashable {
    package static let executionID = "EXECUTION_ID"
    private static let day: Int64 = 86_400_000

    package let subject: String
    package let body: String

    package init(_ body: String, of page: CommandPage, prefix: String, now: Instant) {
        subject = page.subject(prefix: prefix, namespace: "demo")
        let times = [("TOMORROW", now.milliseconds + Self.day), ("YESTERDAY", now.milliseconds - Self.day)]
        self.body = times.reduce(body) { body, time in
            body.split(separator: time.0, omittingEmptySubsequences: false).joined(separator: Self.text(time.1))
        }
    }

    /// To the second: nobody reads microseconds in an example.
    private static func text(_ milliseconds: Int64) -> String {
        String(Instant(milliseconds: milliseconds).rfc3339.prefix { $0 != "." }) + "Z"
    }

    /// A line to paste into a shell. No body holds a single quote.
    package var line: String { "nats req \(subject) '\(body)'" }
}
