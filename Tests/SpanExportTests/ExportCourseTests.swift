import Testing

@testable import SpanExport

/// When a batch goes out, and what becomes of one that did not arrive.
@Suite struct ExportCourseTests {
    private static let second: Int64 = 1_000_000_000

    @Test func aBatchGoesWhenItIsFullOrASecondOld() {
        let course = ExportCourse()
        #expect(!course.isDue(nil, at: 5 * Self.second))
        #expect(!course.isDue((ExportCourse.batch - 1, since: 5 * Self.second), at: 6 * Self.second - 1))
        #expect(course.isDue((1, since: 5 * Self.second), at: 6 * Self.second))
        #expect(course.isDue((ExportCourse.batch, since: 5 * Self.second), at: 5 * Self.second))
    }

    @Test(arguments: [429, 502, 503, 504]) func isAskedAgainEverLaterAndThenDropped(status: Int) {
        var course = ExportCourse()
        var now: Int64 = 0
        for pause in [1, 2, 4, 8] as [Int64] {
            #expect(course.take(.answered(status: status), at: now) == .again("it answers \(status)"))
            #expect(!course.isDue((1, since: 0), at: now + pause * Self.second - 1))
            now += pause * Self.second
            #expect(course.isDue((1, since: now), at: now), "at once, however young the batch")
        }
        #expect(course.take(.answered(status: status), at: now) == .dropped("it answers \(status)"))
        // Who is away is not asked with every further batch.
        #expect(!course.isDue((ExportCourse.batch, since: 0), at: now + 15 * Self.second))
        #expect(course.take(.unanswered("away"), at: now + 16 * Self.second) == .dropped("away"))
        #expect(course.isFailing)
        #expect(course.take(.answered(status: 200), at: now + 40 * Self.second) == .delivered(rejected: 0))
        #expect(!course.isFailing && !course.isDue((1, since: now), at: now))
    }

    @Test func itWaitsAsLongAsItIsAskedAndNotForEver() {
        var course = ExportCourse()
        #expect(course.take(.answered(status: 503, retryAfter: 7), at: 0) == .again("it answers 503"))
        #expect(
            !course.isDue((1, since: 0), at: 7 * Self.second - 1) && course.isDue((1, since: 0), at: 7 * Self.second))
        #expect(course.take(.answered(status: 429, retryAfter: 99_999), at: 0) == .again("it answers 429"))
        #expect(course.isDue((1, since: 0), at: 300 * Self.second))
    }

    @Test(arguments: [301, 400, 401, 404, 413, 500]) func whatIsRefusedIsDroppedAndTheNextIsTriedAtItsTime(status: Int)
    {
        var course = ExportCourse()
        #expect(course.take(.answered(status: status), at: 0) == .dropped("it answers \(status)"))
        #expect(course.isFailing && course.isDue((1, since: 0), at: Self.second))
    }

    @Test func anAnswerIsRead() {
        #expect(ExportOutcome(status: 503, retryAfter: "12", body: []) == .answered(status: 503, retryAfter: 12))
        #expect(
            ExportOutcome(status: 503, retryAfter: "Wed, 21 Oct 2026 07:28:00 GMT", body: []) == .answered(status: 503))
        for number in ["\"3\"", "3"] {
            let body = Array(#"{"partialSuccess":{"rejectedSpans":\#(number),"errorMessage":"no"}}"#.utf8)
            #expect(ExportOutcome(status: 200, retryAfter: nil, body: body) == .answered(status: 200, rejected: 3))
        }
        #expect(ExportOutcome(status: 200, retryAfter: nil, body: Array("ok".utf8)) == .answered(status: 200))
    }
}
