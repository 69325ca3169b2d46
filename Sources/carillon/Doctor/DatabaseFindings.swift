import Migrations
import SchedulerEngine
import SchedulerStore

/// What the doctor could learn of PostgreSQL. What is nil was not to be had.
struct DatabaseStanding: Sendable {
    /// Where it is, without secrets.
    var place = "PostgreSQL"
    /// Why nothing is known of it.
    var fault: String?
    var facts: DatabaseFacts?
    /// Milliseconds that this machine's clock is ahead of PostgreSQL's, and how many it may be off.
    var clock: ClockOffset?
    var migrations: [MigrationStatus]?
    /// Days after today that have a partition; and the first day that has one, in days before today.
    var daysAhead: Int?
    var oldestDay: Int?
    var floors: (history: Int32, audit: Int32)?
    var zones: ZoneDataTable.Release?
    /// Names of the instances that may work.
    var members: [String]?
    /// Subjects that schedules fire at and that a stream must take; nil where they could not be listed in time.
    var streamTargets: [String]?
}

/// How two clocks differ, in milliseconds.
struct ClockOffset: Hashable, Sendable {
    let milliseconds: Int64
    /// Half of the round trip in which it was measured.
    let uncertainty: Int64

    /// Claims stop beyond it (semantics.md §7).
    static let most: Int64 = 2000
    static let suspicious: Int64 = 500

    func finding(_ check: String, of other: String) -> Finding {
        let found = "this machine is \(milliseconds) ms off \(other), give or take \(uncertainty) ms"
        let size = abs(milliseconds) - uncertainty
        guard size > Self.suspicious else { return .ok(check, found) }
        let advice = "set the clocks of both machines (NTP)"
        return size > Self.most
            ? .fail(check, found, expected: "less than \(Self.most) ms, or nothing is claimed", advice)
            : .warn(check, found, expected: "less than \(Self.suspicious) ms", advice)
    }
}

/// What PostgreSQL must be and have.
enum DatabaseFindings {
    static let leastVersion: Int32 = 150_000
    /// So old a transaction keeps dead rows alive.
    static let oldTransaction = 1800.0

    static func all(_ standing: DatabaseStanding, settings: Settings, machine: MachineFacts) -> [Finding] {
        guard let facts = standing.facts else {
            return [
                .fail(
                    "postgresql.connection", standing.fault ?? "no answer", expected: "\(standing.place) to answer",
                    "look at DATABASE_URL, and whether PostgreSQL runs and lets this role in")
            ]
        }
        var findings = [Finding.ok("postgresql.connection", standing.place), version(facts), durability(facts)]
        findings += sessions(facts)
        findings.append(transactions(facts))
        if let clock = standing.clock { findings.append(clock.finding("postgresql.clock", of: "PostgreSQL")) }
        findings += [role(facts), connections(facts)]
        if let migrations = standing.migrations { findings += schema(migrations) }
        if let days = standing.daysAhead { findings.append(partitions(days)) }
        findings += retention(standing, settings)
        if let members = standing.members { findings.append(instances(members)) }
        if let zones = standing.zones { findings.append(zoneRelease(zones, machine)) }
        return findings
    }

    static func version(_ facts: DatabaseFacts) -> Finding {
        facts.versionNumber >= leastVersion
            ? .ok("postgresql.version", facts.version)
            : .fail("postgresql.version", facts.version, expected: "15 or later", "upgrade PostgreSQL")
    }

    /// What is committed must be on disk: once-only rests on it.
    static func durability(_ facts: DatabaseFacts) -> Finding {
        let check = "postgresql.durability"
        let costly = ["fsync", "full_page_writes", "synchronous_commit"].filter { facts.settings[$0] == "off" }
        guard costly.isEmpty else {
            return .fail(
                check, costly.map { "\($0)=off" }.joined(separator: ", "),
                expected: "on: what was committed may be gone after a crash, and is fired again or not at all",
                "turn them on in postgresql.conf")
        }
        return .ok(check, "fsync, full_page_writes and synchronous_commit are on")
    }

    /// What is set for the server, the role or the database and works against the service's sessions.
    static func sessions(_ facts: DatabaseFacts) -> [Finding] {
        let settings = facts.settings
        var findings: [Finding] = []
        if facts.isInRecovery || settings["default_transaction_read_only"] == "on" {
            findings.append(
                .fail(
                    "postgresql.writable", facts.isInRecovery ? "a standby" : "default_transaction_read_only=on",
                    expected: "a server that takes writes", "name the primary in DATABASE_URL"))
        }
        if settings["search_path"] != DoctorSession.searchPath || settings["statement_timeout"] != DoctorSession.timeout
        {
            findings.append(
                .fail(
                    "postgresql.session", "settings that this session asked for at its start do not hold",
                    expected: "a direct session",
                    "connect past the pooler: it shares sessions, or ignores the parameter 'options'"))
        }
        for name in ["autovacuum", "track_counts"] where settings[name] == "off" {
            findings.append(
                .warn(
                    "postgresql.vacuum", "\(name)=off", expected: "on: claims become slower with each dead row",
                    "turn it on in postgresql.conf"))
        }
        for name in ["idle_session_timeout", "transaction_timeout"] {
            guard let value = settings[name].flatMap({ Int64($0) }), value > 0 else { continue }
            findings.append(
                .warn(
                    "postgresql.timeouts", "\(name)=\(value) ms",
                    expected: "0: it ends sessions that the service keeps",
                    "ALTER ROLE \(facts.role) SET \(name) = 0"))
        }
        return findings.isEmpty ? [.ok("postgresql.session", "writable, and as the service asks for it")] : findings
    }

    static func transactions(_ facts: DatabaseFacts) -> Finding {
        let check = "postgresql.transactions"
        guard facts.preparedTransactions == 0 else {
            return .warn(
                check, "\(facts.preparedTransactions) prepared transactions", expected: "none that stay",
                "look at pg_prepared_xacts: each keeps its locks and all dead rows until it is ended")
        }
        let minutes = Int(facts.oldestTransaction / 60)
        guard facts.oldestTransaction < oldTransaction else {
            return .warn(
                check, "a transaction of \(minutes) minutes",
                expected: "none above \(Int(oldTransaction / 60)) minutes",
                "look at pg_stat_activity: dead rows stay as long as it does")
        }
        return .ok(check, "the oldest that can be seen has been open for \(minutes) minutes")
    }

    /// R60: who fires cannot change history.
    static func role(_ facts: DatabaseFacts) -> Finding {
        let check = "postgresql.role"
        let advice = "log in as a member of carillon_app (docs/security.md), and migrate as one of carillon_owner"
        if facts.isSuperuser {
            return .warn(
                check, "\(facts.role) is a superuser", expected: "a role that cannot change history", advice)
        }
        guard facts.withheldTables.isEmpty else {
            return .fail(
                check, "\(facts.role) may not use \(listed(facts.withheldTables))",
                expected: "the rights of carillon_app",
                "GRANT carillon_app TO \(facts.role), and run 'carillon migrate up' once more")
        }
        if facts.ownsTables {
            return .warn(
                check, "\(facts.role) owns the tables", expected: "a role that cannot change history", advice)
        }
        return .ok(check, "\(facts.role) may do what the service does, and owns nothing")
    }

    static func listed(_ names: [String]) -> String {
        names.prefix(4).joined(separator: ", ") + (names.count > 4 ? " and \(names.count - 4) more" : "")
    }
}

// MARK: - Room, schema, upkeep

extension DatabaseFindings {
    /// Whether one instance more finds room: when one is replaced, both are there for a moment.
    static func connections(_ facts: DatabaseFacts) -> Finding {
        let check = "postgresql.connections"
        let needed = Int64(SessionConnections.most + 1)
        let most = Int64(facts.mostConnections - facts.reservedConnections)
        var rooms = [("max_connections", most, facts.sessions)]
        if facts.roleLimit >= 0 { rooms.append(("the role's limit", Int64(facts.roleLimit), facts.roleSessions)) }
        if facts.databaseLimit >= 0 {
            rooms.append(("the database's limit", Int64(facts.databaseLimit), facts.databaseSessions))
        }
        guard let least = rooms.min(by: { $0.1 - $0.2 < $1.1 - $1.2 }) else { return .ok(check, "no limit") }
        let found = "\(least.2) of \(least.1) in use (\(least.0)), \(facts.serviceSessions) by instances"
        guard least.1 - least.2 >= needed else {
            return .warn(
                check, found, expected: "room for \(needed), which one instance more needs",
                "raise \(least.0), or end what is idle")
        }
        return .ok(check, found)
    }

    static func schema(_ migrations: [MigrationStatus]) -> [Finding] {
        let check = "postgresql.schema"
        var findings: [Finding] = []
        func names(_ state: MigrationStatus.State, _ isBreaking: Bool? = nil) -> [String] {
            migrations.filter { $0.state == state && (isBreaking == nil || $0.isBreaking == isBreaking) }
                .map { "\($0.version) (\($0.name))" }
        }
        let known = migrations.filter { $0.state != .newer }.count
        let (pending, drifted) = (names(.pending), names(.drifted))
        if !pending.isEmpty {
            findings.append(
                .fail(
                    check, "without \(listed(pending))", expected: "version \(known)",
                    "run 'carillon migrate up' (docs/upgrade.md)"))
        }
        if !drifted.isEmpty {
            findings.append(
                .fail(
                    check, "\(listed(drifted)) applied with another text", expected: "this program's own",
                    "this is not this program's database: look at DATABASE_URL"))
        }
        let (newer, breaking) = (names(.newer, false), names(.newer, true))
        if !breaking.isEmpty {
            findings.append(
                .fail(
                    check, "\(listed(breaking)), which older programs cannot work with", expected: "version \(known)",
                    "run a newer carillon"))
        } else if !newer.isEmpty {
            findings.append(
                .warn(
                    check, "\(listed(newer)), newer than this program and compatible with it",
                    expected: "version \(known) once the upgrade is over", "end the upgrade: run the newer carillon"))
        }
        return findings.isEmpty ? [.ok(check, "version \(known)")] : findings
    }

    static func partitions(_ days: Int) -> Finding {
        let check = "postgresql.partitions"
        if days >= PartitionTable.leastDaysAhead { return .ok(check, "\(days) days ahead") }
        return .warn(
            check, "\(days) days ahead", expected: "\(PartitionTable.daysAhead)",
            "an instance makes them when it starts and once a minute: look at its log and at its rights")
    }

    static func retention(_ standing: DatabaseStanding, _ settings: Settings) -> [Finding] {
        let check = "postgresql.retention"
        let wanted = settings.historyRetentionDays
        let kept = max(wanted, standing.floors.map { Int($0.history) } ?? 0)
        var findings: [Finding] = []
        if let floors = standing.floors, Int(floors.history) > wanted || Int(floors.audit) > settings.auditRetentionDays
        {
            findings.append(
                .warn(
                    check,
                    "retention_floors keep \(floors.history) days of history and \(floors.audit) of the audit log",
                    expected: "no more than HISTORY_RETENTION_DAYS=\(wanted) and AUDIT_RETENTION_DAYS="
                        + "\(settings.auditRetentionDays)",
                    "raise the settings to what is kept anyway, or lower the floors"))
        }
        if let oldest = standing.oldestDay {
            // The day itself and the one in which it is looked at.
            if oldest > kept + 2 {
                findings.append(
                    .warn(
                        check, "history of \(oldest) days", expected: "\(kept)",
                        "an instance drops what is older: look at its log and at its rights"))
            } else if findings.isEmpty {
                findings.append(.ok(check, "history of \(oldest) days, \(kept) are kept"))
            }
        }
        return findings
    }

    static func instances(_ names: [String]) -> Finding {
        let check = "service.instances"
        if names.count > 1 { return .ok(check, names.sorted().joined(separator: ", ")) }
        return .warn(
            check, names.first.map { "\($0) alone" } ?? "none", expected: "two at least: one takes over from the other",
            "start another 'carillon serve' with its own SERVICE_NAME, on another machine")
    }

    /// Each instance computes by its own machine's rules what it claims.
    static func zoneRelease(_ stored: ZoneDataTable.Release, _ machine: MachineFacts) -> Finding {
        let check = "machine.tzdata_recorded"
        if stored.fingerprint == machine.fingerprint { return .ok(check, "the same as in the database") }
        let (here, there) = (machine.zoneVersion ?? "an unknown release", stored.version ?? "an unknown release")
        return .warn(
            check, "\(here) here, \(there) in the database" + (here == there ? ", of other files" : ""),
            expected: "one release on all machines", "bring tzdata to the newer one everywhere")
    }
}
