import Recurrence

/// What a zone's name may look like. Names become paths, so this is checked before any file is touched.
enum ZoneName {
    /// The longest IANA name has 32 characters.
    private static let maximumLength = 64

    static func check(_ name: String) throws(ZoneError) {
        guard isWellFormed(name) else {
            throw ZoneError(
                .invalidName, zone: name,
                message: "Expected a time zone name such as Europe/Berlin (letters, digits, `_`, `-`, `+` between "
                    + "single `/`), but got `\(name.prefix(maximumLength))`.")
        }
        guard let better = betterNames[name.uppercased()] else { return }
        throw ZoneError(
            .abbreviation, zone: name,
            message: "Expected a time zone with a place such as Europe/Berlin, but got the abbreviation `\(name)`, "
                + "which does not say whose rules hold; write \(better).")
    }

    private static func isWellFormed(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= maximumLength else { return false }
        return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            part.first.map { $0 != UInt8(ascii: "-") } ?? false
                && part.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
                        true
                    default:
                        false
                    }
                }
        }
    }

    /// Abbreviations people write, some of which the IANA database keeps as names with surprising rules
    /// (`EST` never changes its clocks), and the zones they mostly mean.
    private static let betterNames: [String: String] = [
        "EST": "America/New_York, or Etc/GMT+5 for a fixed offset",
        "EDT": "America/New_York", "EST5EDT": "America/New_York",
        "CST": "America/Chicago, or Asia/Shanghai",
        "CDT": "America/Chicago", "CST6CDT": "America/Chicago",
        "MST": "America/Denver, or America/Phoenix for a fixed offset",
        "MDT": "America/Denver", "MST7MDT": "America/Denver",
        "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PST8PDT": "America/Los_Angeles",
        "AKST": "America/Anchorage", "AKDT": "America/Anchorage", "HST": "Pacific/Honolulu",
        "AST": "America/Halifax", "ADT": "America/Halifax", "NST": "America/St_Johns", "NDT": "America/St_Johns",
        "BST": "Europe/London", "IST": "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem",
        "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon", "CET": "Europe/Paris", "CEST": "Europe/Paris",
        "MET": "Europe/Paris", "MEST": "Europe/Paris", "EET": "Europe/Athens", "EEST": "Europe/Athens",
        "MSK": "Europe/Moscow", "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "HKT": "Asia/Hong_Kong",
        "SAST": "Africa/Johannesburg", "AEST": "Australia/Sydney, or Australia/Brisbane for a fixed offset",
        "AEDT": "Australia/Sydney", "ACST": "Australia/Adelaide", "ACDT": "Australia/Adelaide",
        "AWST": "Australia/Perth", "NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland",
    ]
}
