import Testing

@testable import ScheduleFiles

@Suite struct PlainScalarTests {
    @Test(arguments: ["", "~", "null", "Null", "NULL"]) func nothing(text: String) {
        #expect(PlainScalar(text) == .null)
    }

    @Test(arguments: ["0", "-0", "9", "-12", "1.5", "0.10", "-0.5", "9007199254740993", "1.0e+3", "2.5E-7"])
    func numbersKeepTheirText(text: String) { #expect(PlainScalar(text) == .number) }

    @Test(arguments: [
        "0 9 * * *", "*/5 * * * *", "09:00", "0:30", "192.168.0.1", "v1.2", "1.2.3", "2026-W01", "nightly", "-", "...",
        "- 1", "yes please", "1d", "truely",
    ]) func textsThatLookLikeNothingElse(text: String) { #expect(PlainScalar(text) == .string) }

    /// Each is read as two different things by readers in use.
    @Test(arguments: [
        "yes", "No", "ON", "off", "y", "N", "010", "0o17", "0x1F", "0b1", "1_000", "+5", ".5", "5.", "1e3", "123e45",
        "1.5e3", "10:30", "9:00", "1:30:00", "2026-12-25", "2026-12-25T09:00:00Z", "2026-1-5 10:00:00", ".inf", "-.INF",
        ".nan", "=", "<<", "007",
    ]) func whatReadersDisagreeAboutIsRefused(text: String) {
        guard case .ambiguous = PlainScalar(text) else {
            Issue.record("\(text) is read as \(PlainScalar(text))")
            return
        }
    }
}
