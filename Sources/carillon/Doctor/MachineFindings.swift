/// What the doctor knows of the machine it runs on.
struct MachineFacts: Sendable {
    var zoneFolder = "/usr/share/zoneinfo"
    var zoneCount = 597
    /// Nil where the folder does not tell.
    var zoneVersion: String?
    var fingerprint: UInt64 = 0
    /// The limit of open files of a process that is started as the doctor was.
    var openFiles: UInt64 = 1_048_576
}

/// What a machine must have.
enum MachineFindings {
    /// Sessions and links need about 40; each client of HTTP one, of which 1000 are let in.
    static let leastOpenFiles: UInt64 = 256
    static let enoughOpenFiles: UInt64 = 2048

    static func all(_ facts: MachineFacts) -> [Finding] {
        [.ok("program.version", "carillon \(Carillon.version)"), openFiles(facts.openFiles), zones(facts)]
    }

    static func openFiles(_ limit: UInt64) -> Finding {
        let check = "machine.open_files"
        if limit >= enoughOpenFiles { return .ok(check, "\(limit)") }
        let advice =
            "raise the limit where the service is started: LimitNOFILE= in a systemd unit, ulimit -n in a shell"
        return limit >= leastOpenFiles
            ? .warn(check, "\(limit)", expected: "\(enoughOpenFiles), for 1000 clients of HTTP", advice)
            : .fail(check, "\(limit)", expected: "\(leastOpenFiles) at least", advice)
    }

    static func zones(_ facts: MachineFacts) -> Finding {
        let check = "machine.tzdata"
        guard facts.zoneCount > 0 else {
            return .fail(
                check, "no time zones in \(facts.zoneFolder)", expected: "the files of tzdata",
                "install the package tzdata, or name its folder in TZDIR")
        }
        guard let version = facts.zoneVersion else {
            return .warn(
                check, "\(facts.zoneCount) zones of an unknown release in \(facts.zoneFolder)",
                expected: "a release in tzdata.zi or +VERSION", "install the package tzdata whole")
        }
        return .ok(check, "\(version), \(facts.zoneCount) zones in \(facts.zoneFolder)")
    }
}
