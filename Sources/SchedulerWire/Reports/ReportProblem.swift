import JSONText
package import Recurrence
package import SchedulerCore

/// A report that could not be taken as it was sent, for its event `report_problem`: nobody reads a reply of it.
package struct ReportProblem: Sendable {
    /// The subject's tokens, as far as they are there and fit an event.
    package let namespace: String
    package let execution: String?
    package let report: String?
    /// What it was published on.
    package let subject: String
    package let fence: Int64?
    /// The execution's schedule and its last attempt's fence, where there is such an execution.
    package var schedule: ScheduleID?
    package var sequenceFence: Int64 = 0
    /// It holds all the same; without the error's details.
    package let isCounted: Bool
    package let error: WireError
    /// What its body was, so that the same report sent again is the same event.
    private let digest: [UInt8]

    /// Of a report that holds, without what is wrong with it; nil where nothing is.
    package init?(flawsOf report: WorkerReport, body: [UInt8], on subject: String) {
        guard let error = WireError(report.flaws) else { return nil }
        self.init(report.subject, fence: report.fence, subject, body, isCounted: true, error)
    }

    /// Of a report that means nothing to its execution.
    package init(refusing report: WorkerReport, body: [UInt8], on subject: String, for error: WireError) {
        self.init(report.subject, fence: report.fence, subject, body, isCounted: false, error)
    }

    /// Of a report that cannot be read.
    package init(unreadable subject: String, prefix: String, body: [UInt8], for error: WireError) {
        let read = try? ReportSubject(subject, prefix: prefix)
        self.init(read, fence: nil, subject, body, isCounted: false, error)
    }

    private init(
        _ read: ReportSubject?, fence: Int64?, _ subject: String, _ body: [UInt8], isCounted: Bool, _ error: WireError
    ) {
        // What names no creator's namespace is told where no creator can be meant.
        let token = subject.split(separator: ".", omittingEmptySubsequences: false).dropFirst(2).first
        namespace = (read?.namespace ?? token.flatMap { try? Namespace(String($0)) } ?? .administration).description
        execution = read?.execution.description
        report = read?.kind.rawValue
        self.subject = String(subject.prefix(256))
        self.fence = fence
        self.isCounted = isCounted
        self.error = error
        digest = Digest.sha256(body)
    }

    /// The same of an execution that is known.
    package func about(_ execution: Execution?) -> ReportProblem {
        var problem = self
        problem.schedule = execution?.schedule
        problem.sequenceFence = execution?.fence ?? 0
        return problem
    }

    /// An event must fit a message whatever the problems quote of a body.
    private static let mostDetails = 20
    private static let mostDescription = 1024

    /// The event.
    package func text(at now: Instant, source: String) -> EventText {
        let schedule = schedule?.description ?? "_"
        let id = Digest.identity("report", subject, String(fence ?? 0), Digest.hexadecimal(digest)).text
        let cloudEvent = CloudEvent(
            id: id, source: source, type: .executionReportProblem, subject: schedule, time: now.rfc3339,
            sequence: CloudEvent.sequence(fence: sequenceFence, step: EventStep.report.rawValue),
            correlationID: execution)
        let details = error.details.prefix(Self.mostDetails).map {
            WireError.Detail(JSONPointer.cut($0.pointer), String($0.message.prefix(256)))
        }
        let error = WireError(
            self.error.code, String(self.error.description.prefix(Self.mostDescription)), details: details)
        var writer = JSONWriter(capacity: 1024)
        cloudEvent.write(into: &writer) { writer in
            writer.member("execution_id", ifPresent: execution)
            writer.member("schedule_id", ifPresent: self.schedule?.description)
            writer.member("namespace", namespace)
            writer.member("report", ifPresent: report)
            writer.member("report_subject", subject)
            writer.member("fence", ifPresent: fence)
            writer.member("counted", isCounted)
            writer.name("error")
            error.write(into: &writer)
        }
        return EventText(
            id: id, type: .executionReportProblem, namespace: namespace, scheduleToken: schedule, body: writer.bytes)
    }
}

extension JSONPointer {
    /// A name of a body may be as long as the body.
    fileprivate static func cut(_ pointer: JSONPointer) -> JSONPointer {
        pointer.description.utf8.count <= 512 ? pointer : .root
    }
}
