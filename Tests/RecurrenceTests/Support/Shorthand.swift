import Recurrence
import Testing
import ZoneData

/// The machine's zones, shared by all tests.
let zones = ZoneDatabase()

func instant(_ text: String) throws -> Instant {
    try #require(Instant(rfc3339: text), "\(text) is no timestamp")
}

func cron(_ text: String, zone: String = "UTC", policy: DSTPolicy = .vixie) throws -> Recurrence {
    let anchor = Instant(milliseconds: 0)
    return Recurrence(
        try CronExpression(parsing: text), zone: try zones.rules(for: zone), policy: policy, anchor: anchor)
}

/// `2026-11-21T07:40:00Z`: whole seconds, as the tables write them.
func brief(_ instant: Instant) -> String {
    String(instant.rfc3339.prefix(19)) + "Z"
}

/// A rule that has begun; its start is an instant.
func rrule(
    _ text: String, start: String, zone: String = "UTC", policy: DSTPolicy = .vixie, includesStart: Bool = true
) throws -> Recurrence {
    .rrule(
        try ZonedRule(
            RecurrenceRule(parsing: text), zone: try zones.rules(for: zone), policy: policy,
            start: try instant(start), includesStart: includesStart))
}
