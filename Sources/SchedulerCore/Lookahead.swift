/// How far ahead of their time occurrences are claimed.
///
/// One second as a rule. When more is due within the coming seconds than can be claimed within them, the claims must
/// begin earlier: at time `t` ahead, everything due up to `t` has to be claimed in `t`. The look-ahead is the farthest
/// second for which that would not hold if the claims began a margin later.
package struct Lookahead: Sendable {
    package static let shortest: Int64 = 1000
    package static let longest: Int64 = 30_000
    /// How far beyond the look-ahead the occurrences are opened of a timer that is taken, in milliseconds: schedules of
    /// a short period cost one change of their timer for several fires.
    package static let reach: Int64 = 1000
    /// The share of the measured claim speed that is relied upon: the rest is for publishing and recording meanwhile.
    package static let reliance = 0.5

    /// - Parameters:
    ///   - dueBySecond: how many unclaimed occurrences fall into each of the coming seconds.
    ///   - claimsPerSecond: the speed that claims have shown lately.
    /// - Returns: milliseconds ahead, from ``shortest`` to ``longest``.
    package static func milliseconds(dueBySecond: [Int], claimsPerSecond: Double) -> Int64 {
        let speed = max(1000, claimsPerSecond) * reliance
        var needed = shortest
        var due = 0
        for (second, count) in dueBySecond.enumerated() {
            due += count
            let ahead = Int64(second + 1) * 1000
            let claiming = Int64((Double(due) / speed * 1000).rounded(.up)) + 1000
            if count > 0, claiming >= ahead { needed = max(needed, ahead) }
        }
        return min(longest, needed)
    }
}
