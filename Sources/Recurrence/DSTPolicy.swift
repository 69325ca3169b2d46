/// What a cron expression does where its zone's clocks are moved.
///
/// A *gap* is a stretch of local time that the clocks jump over, a *repeat* one that they show twice.
/// An expression is *wildcard* if its minute or hour field begins with `*`, else *fixed*.
package enum DSTPolicy: String, CaseIterable, Sendable {
    /// Fixed expressions: all occurrences inside a gap become one, at the first valid instant after it
    /// (a gap over three hours is not made up), and a repeat counts in its first pass only. Wildcard
    /// expressions follow elapsed time: nothing in a gap, both passes of a repeat.
    case vixie

    /// Nothing in a gap, the first pass of a repeat.
    case skip

    /// Nothing in a gap, both passes of a repeat.
    case literal

    /// The zone is ignored.
    case utc
}
