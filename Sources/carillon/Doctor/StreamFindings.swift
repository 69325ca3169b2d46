import NATSClient
import SchedulerCore
import SchedulerEngine

/// The settings of a stream, as far as the doctor looks at them.
struct StreamFacts: Hashable, Sendable {
    var name = "S"
    var subjects: [String] = []
    var retention = "limits"
    var storage = "file"
    var discard = "old"
    var replicas = 1
    /// Seconds.
    var duplicateWindow = 120.0
    /// Seconds; 0: for ever.
    var maximumAge = 0.0
    var perSubject: Int64 = -1

    init(name: String) { self.name = name }

    init(_ info: StreamInfo) {
        (name, subjects, retention, storage) = (info.name, info.subjects, info.retention, info.storage)
        (discard, replicas, perSubject) = (info.discard, info.replicas, info.maximumMessagesPerSubject)
        (duplicateWindow, maximumAge) = (info.duplicateWindow / .seconds(1), info.maximumAge / .seconds(1))
    }
}

/// What one of the service's own streams must be.
struct StreamNeed: Sendable {
    let name: String
    let subjects: [String]
    let retention: String
    let discard: String
    /// Nil: any.
    var perSubject: Int64?
    /// Seconds; what is kept shorter is gone before it is read.
    var leastAge = 0.0
    var leastDuplicateWindow = Double(DispatchDecision.usualDuplicateWindow) / 1000

    static func all(_ names: SubjectNames, leaseSeconds: Double) -> [StreamNeed] {
        let day = 86_400.0
        return [
            StreamNeed(
                name: names.eventsStream, subjects: [names.events], retention: "limits", discard: "old", leastAge: day),
            StreamNeed(
                name: names.commandsStream, subjects: [names.submitted] + names.reports, retention: "workqueue",
                discard: "new", leastAge: day),
            StreamNeed(
                name: names.deadLetterStream, subjects: [names.deadLetters], retention: "limits", discard: "old",
                leastAge: day),
            StreamNeed(
                name: "KV_\(names.lockBucket)", subjects: ["$KV.\(names.lockBucket).>"], retention: "limits",
                discard: "new", perSubject: 1, leastAge: 2 * leaseSeconds, leastDuplicateWindow: 0),
        ]
    }
}

/// What the doctor could learn of streams.
enum StreamLook: Sendable {
    case there(StreamFacts)
    case missing
    /// Why nothing is known.
    case unknown(String)
}

enum StreamFindings {
    static func own(_ need: StreamNeed, _ look: StreamLook, replicas: Int) -> [Finding] {
        let check = "nats.stream.\(need.name)"
        switch look {
        case .unknown(let reason):
            return [
                .fail(
                    check, reason, expected: "JetStream to answer", "look at its leader: nats server report jetstream")
            ]
        case .missing:
            return [
                .warn(
                    check, "none", expected: "a stream on \(need.subjects.joined(separator: ", "))",
                    "an instance makes it when it starts; until then nobody can use it")
            ]
        case .there(let stream):
            let problems = settings(need, stream, check, replicas)
            let words =
                "\(stream.storage), \(stream.retention), \(stream.replicas) \(stream.replicas == 1 ? "replica" : "replicas")"
            return problems.isEmpty ? [.ok(check, words)] : problems
        }
    }

    private static func settings(
        _ need: StreamNeed, _ stream: StreamFacts, _ check: String, _ replicas: Int
    ) -> [Finding] {
        var findings: [Finding] = []
        let edit = "nats stream edit \(need.name)"
        let absent = need.subjects.filter { !stream.subjects.contains($0) }
        if !absent.isEmpty {
            findings.append(
                .fail(
                    check, "subjects \(stream.subjects.joined(separator: ", "))",
                    expected: absent.joined(separator: ", ") + " too", "\(edit) --subjects …"))
        }
        for (name, found, expected) in [
            ("storage", stream.storage, "file"), ("retention", stream.retention, need.retention),
            ("discard", stream.discard, need.discard),
        ] where found != expected {
            findings.append(
                .fail(
                    check, "\(name) \(found)", expected: expected,
                    name == "discard"
                        ? "\(edit) --discard \(expected)" : "delete it, and it is made anew: what is in it goes"))
        }
        if let most = need.perSubject, stream.perSubject != most {
            findings.append(
                .warn(
                    check, "\(stream.perSubject) messages a subject", expected: "\(most)",
                    "\(edit) --max-msgs-per-subject \(most)"))
        }
        if stream.replicas != replicas {
            findings.append(
                .warn(
                    check, "\(stream.replicas) replicas", expected: "STREAM_REPLICAS=\(replicas)",
                    "\(edit) --replicas \(replicas), or change the setting"))
        }
        if stream.duplicateWindow < need.leastDuplicateWindow {
            findings.append(
                .warn(
                    check, "a duplicate window of \(seconds(stream.duplicateWindow))",
                    expected: "\(seconds(need.leastDuplicateWindow)) at least", "\(edit) --dupe-window 2m"))
        }
        if stream.maximumAge > 0, stream.maximumAge < need.leastAge {
            findings.append(
                .warn(
                    check, "a maximum age of \(seconds(stream.maximumAge))",
                    expected: "\(seconds(need.leastAge)) at least", "\(edit) --max-age …"))
        }
        return findings
    }

    static func seconds(_ seconds: Double) -> String { SettingsReader.plain(seconds) + " s" }
}

// MARK: - Streams of targets

/// A subject that is fired at through JetStream, and the streams that take it.
struct TargetLook: Sendable {
    let subject: String
    /// Whether a schedule fires there now; else it is a pattern of the allow-list.
    let isFiredAt: Bool
    /// Nil where nothing is known.
    let streams: [StreamFacts]?
}

extension StreamFindings {
    static func targets(_ looks: [TargetLook]) -> [Finding] {
        let check = "nats.targets"
        guard !looks.isEmpty else { return [.ok(check, "none by JetStream")] }
        var findings: [Finding] = []
        let lonely = looks.filter { $0.streams?.isEmpty == true }
        let firedAt = lonely.filter(\.isFiredAt).map(\.subject)
        if !firedAt.isEmpty {
            findings.append(
                .fail(
                    check, "no stream takes \(DatabaseFindings.listed(firedAt)), at which schedules fire",
                    expected: "a stream, or delivery core", "make a stream: what is due waits for it"))
        }
        let allowed = lonely.filter { !$0.isFiredAt }.map(\.subject)
        if !allowed.isEmpty {
            findings.append(
                .warn(
                    check, "no stream takes \(DatabaseFindings.listed(allowed))",
                    expected: "one for each target of the allow-list with delivery jetstream",
                    "make a stream, or leave jetstream out of the entry's delivery"))
        }
        for (name, streams) in Dictionary(grouping: looks.flatMap { $0.streams ?? [] }, by: \.name).sorted(by: {
            $0.key < $1.key
        }) {
            if let stream = streams.first { findings += target(name, stream) }
        }
        let unknown = looks.filter { $0.streams == nil }.map(\.subject)
        if !unknown.isEmpty {
            findings.append(
                .warn(
                    check, "nobody tells which streams take \(DatabaseFindings.listed(unknown))",
                    expected: "JetStream to answer", "permit $JS.API.STREAM.NAMES and $JS.API.STREAM.INFO.*"))
        }
        return findings.isEmpty ? [.ok(check, "\(looks.count) looked at, each has a stream")] : findings
    }

    private static func target(_ name: String, _ stream: StreamFacts) -> [Finding] {
        let check = "nats.target.\(name)"
        let reckoned = Double(DispatchDecision.usualDuplicateWindow) / 1000
        var findings: [Finding] = []
        if stream.duplicateWindow < reckoned {
            findings.append(
                .warn(
                    check, "a duplicate window of \(seconds(stream.duplicateWindow))",
                    expected: "\(seconds(reckoned)): what is sent again later than that is stored twice",
                    "nats stream edit \(name) --dupe-window 2m"))
        }
        if stream.storage != "file" {
            findings.append(
                .warn(
                    check, "storage \(stream.storage)",
                    expected: "file: what was delivered is gone when the server restarts",
                    "keep it in a stream with storage file"))
        }
        return findings
    }

    /// Streams of somebody else that answer in the service's place.
    static func foreign(_ sentences: [String]) -> [Finding] {
        let check = "nats.foreign_streams"
        guard !sentences.isEmpty else { return [.ok(check, "none take the service's subjects")] }
        return sentences.map { sentence in
            .fail(
                check, sentence.split(separator: ":").first.map(String.init) ?? sentence,
                expected: "the service to answer",
                "change its subjects")
        }
    }
}
