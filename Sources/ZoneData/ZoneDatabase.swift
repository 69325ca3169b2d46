package import Recurrence
import Synchronization

/// The system's time zone data: a folder of TZif files with its list of names.
///
/// Zones are read when first asked for and kept; the database answers from any thread. It never falls back
/// on data built into a library, which ages with the binary: what `tzdata` says on this machine holds.
package final class ZoneDatabase: Sendable {
    /// The folder that is read.
    package let root: String

    private let contents: Mutex<Contents>

    private struct Contents {
        var catalog: ZoneCatalog?
        var rules: [String: ZoneRules] = [:]
    }

    /// Reads nothing yet.
    package init(root: String = "/usr/share/zoneinfo") {
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
        if let known = contents.withLock({ $0.rules[name] }) { return known }
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
            contents.rules[name] = rules
            return rules
        }
    }

    /// The largest TZif file in the wild has 4 KiB.
    private static let largestFile = 256 << 10

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
