package import Recurrence

extension OccurrenceSource {
    /// Where a timer stands once its zone's rules have changed; this source knows the new ones.
    ///
    /// What is due stays due, and fires as it stands; what is claimed stays claimed. Everything later is computed again,
    /// from now on: nothing fires backwards.
    ///
    /// - Parameters:
    ///   - nextFireAt: where it stands by the old rules.
    ///   - offset: `due_at − scheduled_for`, in milliseconds.
    ///   - lastClaimed: the nominal instant of the schedule's latest occurrence that is claimed and not yet ended.
    /// - Returns: nil where no occurrence is to come any more.
    package func retimed(_ nextFireAt: Instant, offset: Int64, lastClaimed: Instant?, now: Instant) -> Instant? {
        guard nextFireAt > now else { return nextFireAt }
        let nominalNow = now.adding(milliseconds: -offset)
        return next(after: max(nominalNow, lastClaimed ?? nominalNow))?.adding(milliseconds: offset)
    }
}
