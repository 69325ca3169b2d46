import Glibc
package import Recurrence
import Synchronization

/// What became of the zone data between two looks.
package struct ZoneChange: Hashable, Sendable {
    /// The zones whose data differ, that came or that went.
    package var zones: Set<String>
    /// The releases, such as `2026a`; nil where the folder does not tell.
    package var before: String?
    package var after: String?

    package init(zones: Set<String>, before: String?, after: String?) {
        self.zones = zones
        self.before = before
        self.after = after
    }
}

/// The system's time zone data: a folder of TZif files with its list of names.
///
/// Zones are read when first asked for and kept; the database answers from any thread. It never falls back
/// on data built into a library, which ages with the binary: what `tzdata` says on this machine holds. ``look()`` takes
/// notice of another `tzdata` while the process runs.
package final class ZoneDatabase: Sendable {
    /// The folder that is read.
    package let root: String

    private let contents: Mutex<Contents>

    private struct Contents {
        var catalog: ZoneCatalog?
        var rules: [String: ZoneRules] = [:]
        /// What the last look saw; nil before the first.
        var snapshot: ZoneSnapshot?
        /// Grows with every change: rules that were read before one are not kept after it.
        var generation = 0
    }

    /// The folder that the environment's `TZDIR` names, as for other programs; else the usual one.
    package static var systemRoot: String {
        let named = getenv("TZDIR").map { String(cString: $0) } ?? ""
        return named.isEmpty ? "/usr/share/zoneinfo" : named
    }

    /// Reads nothing yet.
    package init(root: String = systemRoot) {
        self.root = root
        contents = Mutex(Contents())
    }

    /// The release of the data, such as `2026a`; nil where the folder does not tell.
    package var version: String? {
        contents.withLock { catalog(in: &$0).version }
    }

    /// The names that can be used, in order.
    package var names: [String] {
        contents.withLock { catalog(in: &$0).names.sorted() }
    }

    /// The rules of a zone by its IANA name, such as `Europe/Berlin`. `UTC` needs no file.
    ///
    /// Reads a file of a few kilobytes the first time a zone is asked for.
    ///
    /// - Throws: `invalidName`, `abbreviation` (with the names to use instead) or `unknownZone` for the name;
    ///   `unavailable` or `malformedData` for the file.
    package func rules(for name: String) throws(ZoneError) -> ZoneRules {
        if name == "UTC" { return .utc }
        // Only checked names become keys, so the cache is bounded by the catalogue.
        let (known, generation) = contents.withLock { ($0.rules[name], $0.generation) }
        if let known { return known }
        try ZoneName.check(name)
        try checkIsListed(name)
        guard let bytes = contentsOfFile(atPath: root + "/" + name, limit: ZoneDatabase.largestFile) else {
            throw ZoneError(
                .unavailable, zone: name,
                message: "Expected the data of the time zone \(name) in \(root), but that file cannot be read; "
                    + "install the system's tzdata (and tzdata-legacy, where it is a package of its own).")
        }
        let rules = try ZoneRules(name: name, tzif: bytes)
        // Where another thread was quicker its rules stay, so that a zone is one object.
        return contents.withLock { contents in
            if let known = contents.rules[name] { return known }
            if contents.generation == generation { contents.rules[name] = rules }
            return rules
        }
    }

    /// Looks whether the folder holds other data than at the last look; then those hold from now on. The first look only
    /// takes note of how things stand.
    ///
    /// A folder that holds no zones at all is being replaced: what was read before goes on holding until it is filled.
    ///
    /// - Returns: nil where nothing has changed.
    package func look() -> ZoneChange? {
        let previous = contents.withLock { $0.snapshot }
        let snapshot = ZoneSnapshot(root: root, previous: previous)
        guard !snapshot.catalog.isEmpty else { return nil }
        let zones = previous.map { snapshot.changes(since: $0) } ?? []
        return contents.withLock { contents in
            contents.snapshot = snapshot
            contents.catalog = snapshot.catalog
            guard let previous else {
                contents.rules = [:]
                contents.generation += 1
                return nil
            }
            guard !zones.isEmpty || snapshot.catalog.version != previous.catalog.version else { return nil }
            for zone in zones { contents.rules[zone] = nil }
            contents.generation += 1
            return ZoneChange(zones: zones, before: previous.catalog.version, after: snapshot.catalog.version)
        }
    }

    /// One number for all the data that the last look saw, the same on every machine that has them; nil before the
    /// first.
    package var fingerprint: UInt64? {
        contents.withLock { $0.snapshot }?.fingerprint
    }

    /// The largest TZif file in the wild has 4 KiB.
    static let largestFile = 256 << 10

    private func checkIsListed(_ name: String) throws(ZoneError) {
        let catalog = contents.withLock { self.catalog(in: &$0) }
        if catalog.isEmpty {
            throw ZoneError(
                .unavailable, zone: name,
                message: "Expected time zone data in \(root), but found no list of zones; install the system's tzdata.")
        }
        if catalog.names.contains(name) { return }
        let spelling = catalog.names.first { $0.lowercased() == name.lowercased() }
        let advice = spelling.map { "; write \($0)" } ?? ""
        throw ZoneError(
            .unknownZone, zone: name,
            message: "Expected a time zone of the IANA database such as Europe/Berlin, but got `\(name)`\(advice).")
    }

    private func catalog(in contents: inout Contents) -> ZoneCatalog {
        if let catalog = contents.catalog { return catalog }
        let catalog = ZoneCatalog(root: root)
        // An empty folder may be filled later: looked at again with the next question.
        if !catalog.isEmpty { contents.catalog = catalog }
        return catalog
    }
}
