package import Recurrence

extension Occurrence {
    /// Whether its execution's id lies days before now: a message that waited for a long delay, for a rate or for a
    /// freeze, an occurrence that waited for its place. A claim of it stands apart in the journal, so that who looks for
    /// what is open does not look through the days between.
    package func liesFarBack(at now: Instant) -> Bool { now.milliseconds(since: scheduledFor) > 86_400_000 }
}
