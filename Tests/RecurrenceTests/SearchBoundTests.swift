import Recurrence
import Testing

@Suite("Where a search ends, and where it must not")
struct SearchBoundTests {
    @Test(
        "what falls into the gap each year has no next, with years and without",
        arguments: ["30 2 * 3 SUN#2", "0 30 2 * 3 SUN#2 1994-2199", "0 30 2 8-14 3 +SUN 2020-2199/3"])
    func neverShown(text: String) throws {
        for policy in [DSTPolicy.skip, .literal] {
            let recurrence = try cron(text, zone: "America/New_York", policy: policy)
            #expect(try recurrence.next(after: instant("2008-01-01T00:00:00Z")) == nil)
            #expect(try recurrence.count(after: instant("2008-01-01T00:00:00Z"), through: .latest) == 0)
        }
    }

    @Test("a kind of year that is named once, after more than a century of others, is waited for")
    func lateKind() throws {
        // 9 March is the second Sunday, on which the clocks jump over 02:30, in these years; in 2199 it is a Saturday.
        let sundays = (2038...2198).filter { year in
            let days = (1970..<year).reduce(67) { $0 + ($1 % 4 == 0 && $1 != 2100 ? 366 : 365) }
            return (days + (year % 4 == 0 && year != 2100 ? 1 : 0) + 4) % 7 == 0
        }
        try #require(sundays.count > 20)
        let years = sundays.map(String.init).joined(separator: ",")
        let recurrence = try cron("0 30 2 9 3 * \(years),2199", zone: "America/New_York", policy: .skip)
        #expect(try recurrence.next(after: instant("2038-01-01T00:00:00Z")).map(brief) == "2199-03-09T07:30:00Z")
    }
}
