import JSONText
import SchedulerCore

/// Reads the CronJobs of Kubernetes manifests, YAML or JSON, lists too, into definitions.
///
/// The payload names the CronJob and holds its job template, so that a worker can make the job; the scheduler itself
/// starts no pod.
package struct KubernetesCronJobs {
    private let options: ConversionOptions
    private var conversion = Conversion()

    package static func read(_ text: String, file: String, _ options: ConversionOptions) -> Conversion {
        var jobs = KubernetesCronJobs(options: options)
        let (documents, problems) = SourceDocument.read(text, file: file)
        jobs.conversion.problems += problems
        for document in documents { jobs.read(document.value, at: .root, of: document) }
        return jobs.ended()
    }

    private init(options: ConversionOptions) { self.options = options }

    private func ended() -> Conversion {
        var conversion = conversion
        let schedules = conversion.schedules
        guard !schedules.isEmpty else { return conversion }
        if schedules.contains(where: { $0["overlap_policy"] != nil }) {
            conversion.note(
                "overlap_policy counts only where completion is tracked; with 'none' a fire is done when delivered.")
        }
        if schedules.contains(where: { $0["timezone"] == nil }) {
            conversion.note("Without timeZone Kubernetes takes the zone of its controller, mostly UTC; here it is UTC.")
        }
        conversion.note("History limits are left out: executions are kept as long as HISTORY_RETENTION_DAYS says.")
        return conversion
    }

    private mutating func read(_ value: JSONValue, at pointer: JSONPointer, of document: SourceDocument) {
        guard value.kind == .object else {
            return report(document, pointer, "expected a Kubernetes object")
        }
        let kind = value["kind"]?.string ?? ""
        if kind == "CronJob" {
            convert(value, at: pointer, of: document)
        } else if kind.hasSuffix("List"), let items = value["items"], items.kind == .array {
            let place = pointer.appending("items")
            for (index, item) in items.elements.enumerated() { read(item, at: place.appending(index), of: document) }
        } else if kind.isEmpty {
            report(document, pointer.appending("kind"), "is required: CronJob, or a List of them")
        } else {
            conversion.note("\(kind) '\(value["metadata"]?["name"]?.string ?? "?")' is left out: it is no CronJob.")
        }
    }

    private mutating func report(
        _ document: SourceDocument, _ pointer: JSONPointer, _ message: String, name: String? = nil
    ) {
        conversion.problems.append(document.problem(pointer, message, name: name))
    }

    private mutating func convert(_ value: JSONValue, at pointer: JSONPointer, of document: SourceDocument) {
        let (metadata, spec) = (value["metadata"], value["spec"])
        guard let name = metadata?["name"]?.string else {
            return report(document, pointer.appending("metadata").appending("name"), "is required")
        }
        let place = pointer.appending("spec")
        guard let spec, let schedule = spec["schedule"]?.string else {
            return report(document, place.appending("schedule"), "is required: a cron expression", name: name)
        }
        var job = Job(name: name, namespace: metadata?["namespace"]?.string, spec: spec)
        job.read(schedule, options)
        for fault in job.faults { report(document, place.appending(fault.field), fault.message, name: name) }
        guard job.faults.isEmpty else { return }
        let tags = job.tags(of: metadata?["labels"])
        var fields: [(String, JSONValue?)] = [
            ("schedule_type", FieldValue.text("cron")), ("cron_expression", FieldValue.text(job.expression)),
            ("timezone", job.zone.flatMap { FieldValue.text($0) }),
        ]
        if let zone = job.zone, zone != "UTC", zone != "Etc/UTC" {
            fields.append(("dst_policy", FieldValue.text("literal")))
        }
        fields += job.policies()
        fields += [
            ("target_command", FieldValue.text(options.target)), ("command_payload", job.payload()), ("tags", tags),
        ]
        if spec["suspend"]?.bool == true { fields.append(("paused", FieldValue.bool(true))) }
        conversion.schedules.append(
            ConvertedSchedule(
                name: options.prefix + name, namespace: options.namespace?.description ?? job.namespace,
                line: document.line(of: pointer),
                fields: fields.compactMap { name, value in value.map { (name, $0) } }, notes: job.notes))
    }
}

/// One CronJob on its way.
private struct Job {
    let name: String
    let namespace: String?
    let spec: JSONValue
    var expression = ""
    var zone: String?
    var notes: [String] = []
    var faults: [(field: String, message: String)] = []

    init(name: String, namespace: String?, spec: JSONValue) {
        self.name = name
        self.namespace = namespace
        self.spec = spec
    }

    /// The last values of minute, hour, day, month and weekday: `5/15` there is `5-59/15`.
    private static let lasts = ["59", "23", "31", "12", "6"]

    mutating func read(_ schedule: String, _ options: ConversionOptions) {
        var words = schedule.split { $0 == " " || $0 == "\t" }.map(String.init)
        zone = options.timezone
        if let first = words.first, first.hasPrefix("TZ=") || first.hasPrefix("CRON_TZ=") {
            zone = first.split(separator: "=", maxSplits: 1).last.map(String.init)
            words.removeFirst()
        }
        if let text = spec["timeZone"]?.string { zone = text }
        if words.count == 5 {
            for index in words.indices {
                let items = words[index].split(separator: ",", omittingEmptySubsequences: false)
                words[index] = items.map { Self.spelled(String($0), last: Self.lasts[index]) }.joined(separator: ",")
            }
        }
        expression = words.joined(separator: " ")
        if expression != schedule, words.count == 5 {
            notes.append("'\(schedule)' is written as '\(expression)' here.")
        }
        if let zone, zone != "UTC", zone != "Etc/UTC" {
            notes.append(
                "Kubernetes runs nothing in an hour that is left out, and both of a repeated one: dst_policy literal.")
        }
    }

    private static func spelled(_ item: String, last: String) -> String {
        let parts = item.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].allSatisfy(\.isNumber) else { return item }
        return "\(parts[0])-\(last)/\(parts[1])"
    }

    mutating func policies() -> [(String, JSONValue?)] {
        var fields: [(String, JSONValue?)] = []
        let overlaps = ["Allow": "allow", "Forbid": "skip", "Replace": "cancel_previous"]
        if let policy = spec["concurrencyPolicy"]?.string, let overlap = overlaps[policy] {
            fields.append(("overlap_policy", FieldValue.text(overlap)))
        }
        if let deadline = spec["startingDeadlineSeconds"]?.int64 {
            fields.append(("misfire_policy", FieldValue.text("skip")))
            fields.append(("misfire_grace_seconds", FieldValue.value { $0.value(deadline) }))
            notes.append("startingDeadlineSeconds \(deadline): what is later than that is skipped.")
        }
        return fields
    }

    /// Labels as `key:value`, as far as tags can hold them.
    mutating func tags(of labels: JSONValue?) -> JSONValue? {
        var tags: [String] = []
        for label in labels.map({ Array($0.members) }) ?? [] {
            let tag = "\(label.name.split(separator: "/").joined(separator: ".")):\(label.value.string ?? "")"
            if tag.utf8.count <= 64, tags.count < 32 {
                tags.append(tag)
            } else {
                notes.append(
                    "The label \(label.name) is left out: a tag has at most 64 characters, a schedule 32 tags.")
            }
        }
        guard !tags.isEmpty else { return nil }
        return FieldValue.value { writer in writer.array { writer in for tag in tags { writer.value(tag) } } }
    }

    func payload() -> JSONValue? {
        FieldValue.value { writer in
            writer.object { writer in
                writer.member("cronjob", name)
                writer.member("namespace", ifPresent: namespace)
                if let template = spec["jobTemplate"] { writer.member("job_template", template) }
            }
        }
    }
}
