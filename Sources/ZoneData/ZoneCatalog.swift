/// The names and the release of a zoneinfo folder, read from the lists that `tzdata` installs with it.
struct ZoneCatalog {
    private(set) var version: String?
    private(set) var names: Set<String> = []

    var isEmpty: Bool { names.isEmpty }

    /// The lists that are read, inside the folder.
    static let fileNames = ["tzdata.zi", "zone1970.tab", "zone.tab", "+VERSION"]

    /// `tzdata.zi` holds everything: zones, links and, in its first line, the version. Where it is missing,
    /// `zone1970.tab` and `zone.tab` name the places, and `+VERSION` the release.
    init(root: String) {
        if let bytes = contentsOfFile(atPath: root + "/tzdata.zi", limit: ZoneCatalog.largestList) {
            readSource(bytes)
        }
        if names.isEmpty {
            for list in ["zone1970.tab", "zone.tab"] {
                if let bytes = contentsOfFile(atPath: root + "/" + list, limit: ZoneCatalog.largestList) {
                    readTable(bytes)
                }
            }
        }
        if version == nil, let bytes = contentsOfFile(atPath: root + "/+VERSION", limit: ZoneCatalog.largestList) {
            version = lines(of: bytes).first.flatMap { fields(of: $0).first }
        }
        // A stand-in for "unknown local time" that nobody means.
        names.remove("Factory")
    }

    /// `tzdata.zi` has some 110 KB.
    private static let largestList = 4 << 20

    /// Lines of zic's input: `# version 2026a`, `Z <name> …`, `L <target> <name>`.
    private mutating func readSource(_ bytes: [UInt8]) {
        for line in lines(of: bytes) {
            switch line.first {
            case UInt8(ascii: "#") where version == nil:
                let words = fields(of: line)
                if words.count == 3, words[1] == "version" { version = words[2] }
            case UInt8(ascii: "Z"):
                let words = fields(of: line)
                if words.count > 1 { names.insert(words[1]) }
            case UInt8(ascii: "L"):
                let words = fields(of: line)
                if words.count > 2 { names.insert(words[2]) }
            default:
                continue
            }
        }
    }

    /// Lines with the name in the third column.
    private mutating func readTable(_ bytes: [UInt8]) {
        for line in lines(of: bytes) where line.first != UInt8(ascii: "#") {
            let words = fields(of: line)
            if words.count > 2 { names.insert(words[2]) }
        }
    }
}

private func lines(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    bytes.split(separator: UInt8(ascii: "\n"))
}

private func fields(of line: ArraySlice<UInt8>) -> [String] {
    line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map { String(decoding: $0, as: UTF8.self) }
}
