package import Recurrence

/// One picture of the model, in so many columns and lines.
package struct TopFrame: Sendable {
    /// Of a terminal that does not tell its size.
    package static let usual = TopFrame(width: 80, height: 24)

    package let width: Int
    package let height: Int
    /// Whether the terminal shows the blocks of Unicode; else signs of ASCII stand for them.
    package let hasBlocks: Bool

    package init(width: Int, height: Int, hasBlocks: Bool = true) {
        self.width = max(1, width)
        self.height = max(1, height)
        self.hasBlocks = hasBlocks
    }

    /// At most ``height`` lines. Each fits the width when it is made text.
    package func lines(_ model: TopModel, at now: Instant) -> [StyledLine] {
        var lines = [title(model, now), state(model, now), schedules(model), backlog(model)]
        lines += [fires(model, now), ends(model, now), seconds(model, now), StyledLine()]
        lines += members(model, now)
        lines += [StyledLine(), eventsTitle(model, now)]
        lines += model.recent(height - lines.count).map(line)
        return Array(lines.prefix(height))
    }

    // MARK: The head

    private func title(_ model: TopModel, _ now: Instant) -> StyledLine {
        var line = StyledLine("carillon top", .bold)
        line.add("  \(model.server)")
        if model.prefix != "scheduler" { line.add("  \(model.prefix)") }
        let time = now.rfc3339
        line.addRight("\(time.prefix(10)) \(time.dropFirst(11).prefix(8))Z", .dim, width: width)
        return line
    }

    private func state(_ model: TopModel, _ now: Instant) -> StyledLine {
        func age(_ instant: Instant) -> String { "\(max(0, now.milliseconds(since: instant)) / 1000) s" }
        func because(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }
        if let lost = model.lost {
            return StyledLine("CONNECTION LOST for \(age(lost.since))\(because(lost.reason))", .bad)
        }
        if let silence = model.silence {
            return StyledLine("NO ANSWER for \(age(silence.since))\(because(silence.reason))", .bad)
        }
        guard model.isAnswered else { return StyledLine("waiting for an answer", .dim) }
        guard model.reasons.isEmpty else {
            return StyledLine("NOT READY: \(model.reasons.joined(separator: "; "))", .bad)
        }
        var line = StyledLine("ready", .good)
        let held = model.members.values.count { $0.lease == "held" }
        line.add(", \(held) \(held == 1 ? "member" : "members")")
        let silent = model.members.count - held
        if silent > 0 { line.add(", \(silent) silent", .bad) }
        if let warning = model.warnings.first { line.add("; \(warning)", .warning) }
        return line
    }

    private func schedules(_ model: TopModel) -> StyledLine {
        guard let stored = model.stored else { return StyledLine(label("schedules") + "?") }
        var line = StyledLine(label("schedules"))
        for state in ["active", "paused", "invalid", "exhausted"] {
            let count = stored.schedules[state] ?? 0
            line.add("\(count.grouped) \(state)  ", state == "invalid" && count > 0 ? .bad : .plain)
        }
        if stored.freezes > 0 { line.add("\(stored.freezes) \(stored.freezes == 1 ? "freeze" : "freezes")", .warning) }
        return line
    }

    private func backlog(_ model: TopModel) -> StyledLine {
        guard let stored = model.stored else { return StyledLine(label("backlog") + "?") }
        var line = StyledLine(label("backlog"))
        line.add("\(stored.overdue.grouped) overdue  ", stored.overdue > 0 ? .warning : .plain)
        line.add("\(stored.claims.grouped) claims  \(stored.waiting.grouped) waiting  ")
        line.add("\(stored.outbox.grouped) events to tell")
        if let submitted = stored.submitted { line.add("  \(submitted.grouped) submitted") }
        return line
    }

    private func label(_ text: String) -> String { text.padded(10) }

    // MARK: The last minute

    private func fires(_ model: TopModel, _ now: Instant) -> StyledLine {
        let seconds = span(model, now)
        let fires = model.window.fires(at: now).reduce(0, +)
        var line = StyledLine(label("fires"))
        line.add("\(fires.grouped) in \(seconds) s, \(rate(fires, seconds))/s   lateness ")
        guard let lateness = model.window.lateness(at: now) else {
            line.add("-")
            return line
        }
        line.add("p50 \(lateness.median.grouped) ms  p99 \(lateness.p99.grouped) ms  ")
        line.add("max \(lateness.most.grouped) ms", lateness.most >= 1000 ? .warning : .plain)
        return line
    }

    private func ends(_ model: TopModel, _ now: Instant) -> StyledLine {
        var line = StyledLine(label("troubles"))
        for (kind, word) in [
            ("dead", "dead"), ("failed", "failed"), ("timed_out", "timed out"), ("retrying", "retried"),
            ("skipped", "skipped"), ("cancelled", "cancelled"),
        ] {
            let count = model.window.count("execution.\(kind)", at: now)
            let isBad = kind == "dead" || kind == "failed" || kind == "timed_out"
            line.add("\(count.grouped) \(word)  ", count > 0 && isBad ? .bad : count > 0 ? .warning : .plain)
        }
        return line
    }

    private func seconds(_ model: TopModel, _ now: Instant) -> StyledLine {
        let fires = model.window.fires(at: now)
        let most = fires.max() ?? 0
        let signs = Array(hasBlocks ? "▁▂▃▄▅▆▇█" : ".:-=+*#@")
        let bars = fires.map { count -> Character in
            guard count > 0, most > 0 else { return " " }
            return signs[Int((count * Int64(signs.count) - 1) / most)]
        }
        var line = StyledLine(label("a second"))
        line.add(String(bars), .good)
        line.add(" \(most.grouped)", .dim)
        return line
    }

    /// How long the window is that is filled by now, in seconds.
    private func span(_ model: TopModel, _ now: Instant) -> Int64 {
        min(FireWindow.length, max(1, now.milliseconds(since: model.began) / 1000))
    }

    /// To a tenth, without a loss of what is rare.
    private func rate(_ count: Int64, _ seconds: Int64) -> String {
        let tenths = count * 10 / seconds
        return "\((tenths / 10).grouped).\(tenths % 10)"
    }

    // MARK: Members

    private func members(_ model: TopModel, _ now: Instant) -> [StyledLine] {
        let head = StyledLine(
            "MEMBER".padded(14) + "ID".padded(8) + "SHARE".padded(7) + "STATE".padded(6)
                + numbers(["IN FLIGHT", "DUE", "SILENT", "OWED", "CLOCK"]), .dim)
        let rows = model.members.sorted { ($0.value.name, $0.key) < ($1.value.name, $1.key) }
        let places = max(1, (height - 12) / 2)
        let shown = rows.count <= places ? rows.count : places - 1
        var lines = [head] + rows.prefix(shown).map { row($0.key, $0.value, now) }
        if shown < rows.count { lines.append(StyledLine("… \(rows.count - shown) more", .dim)) }
        return lines
    }

    private func row(_ instance: String, _ member: TopModel.Member, _ now: Instant) -> StyledLine {
        var line = StyledLine((member.name.isEmpty ? "?" : member.name).padded(14))
        // The end of an id is random, its beginning is the time.
        line.add(String(instance.suffix(8)).terminalSafe.padded(8), .dim)
        line.add("\(member.partitions)/256".padded(7))
        let answer = member.answer.flatMap { now.milliseconds(since: $0.at) <= TopModel.answerLife ? $0 : nil }
        let isWell = member.lease == "held" && answer?.isReady ?? true
        let state = member.lease != "held" ? member.lease : answer.map { $0.isReady ? "ready" : "unwell" } ?? "held"
        line.add(state.padded(6), isWell ? .plain : .bad)
        guard let answer else {
            line.add(numbers(["-", "-", "-", "-", "-"]))
            return line
        }
        line.add(
            numbers([
                answer.inFlight.grouped, answer.due.grouped, answer.unanswered.grouped, answer.owed.grouped,
                "\(answer.clockSkew) ms",
            ]))
        return line
    }

    private func numbers(_ texts: [String]) -> String {
        zip(texts, [9, 7, 8, 7, 9]).map { $0.right($1) }.joined()
    }

    // MARK: Events

    private func eventsTitle(_ model: TopModel, _ now: Instant) -> StyledLine {
        if let deafness = model.deafness { return StyledLine("EVENTS: \(deafness)", .bad) }
        var line = StyledLine("EVENTS", .dim)
        let seconds = span(model, now)
        line.add("  \(rate(model.window.events(at: now), seconds))/s", .dim)
        line.addRight("q quits", .dim, width: width)
        return line
    }

    private func line(_ event: TopEvent) -> StyledLine {
        var line = StyledLine("\(event.at.rfc3339.dropFirst(11).prefix(8)) ", .dim)
        let style: TextStyle =
            switch event.weight {
            case .routine: .plain
            case .notable: .bold
            case .trouble: .bad
            }
        line.add(event.kind.padded(22), style)
        line.add(event.whose)
        if !event.detail.isEmpty { line.add("  \(event.detail)") }
        return line
    }
}
