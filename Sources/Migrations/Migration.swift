/// One step of the schema, and the way back.
package struct Migration: Sendable, Equatable {
    /// From 1, without gaps.
    package let version: Int
    package let name: String
    package let up: String
    package let down: String
    /// Whether a program that does not know this migration must not run on the schema it leaves. Said by a first line
    /// `-- breaking` in the up file.
    package let isBreaking: Bool

    package init(version: Int, name: String, up: String, down: String, isBreaking: Bool = false) {
        self.version = version
        self.name = name
        self.up = up
        self.down = down
        self.isBreaking = isBreaking
    }
}

extension Migration {
    private struct File {
        let version: Int
        let name: String
        let isUp: Bool
        let contents: String
    }

    /// The migrations in `files`, in order of their versions.
    ///
    /// Names are `m0001_create_schedules.up.sql` and `.down.sql`; each version has both, under one name. Throws
    /// `.badFileName`, `.duplicateVersion`, `.gap`, `.missingUp`, `.missingDown`.
    package static func parse(
        _ files: [(name: String, contents: String)]
    ) throws(MigrationError) -> [Migration] {
        var ups: [Int: File] = [:]
        var downs: [Int: File] = [:]
        for (name, contents) in files {
            let file = try parse(name, contents)
            let other = file.isUp ? ups[file.version] : downs[file.version]
            if let other {
                throw MigrationError(
                    .duplicateVersion,
                    "expected one \(file.isUp ? "up" : "down") file a version, got \(other.name) and \(file.name)",
                    version: file.version)
            }
            if file.isUp { ups[file.version] = file } else { downs[file.version] = file }
        }
        let versions = Set(ups.keys).union(downs.keys).sorted()
        var migrations: [Migration] = []
        for version in versions {
            if version != migrations.count + 1 {
                throw MigrationError(.gap, "expected version \(migrations.count + 1), got \(version)", version: version)
            }
            guard let up = ups[version] else {
                throw MigrationError(.missingUp, "expected an up file, got only the down file", version: version)
            }
            guard let down = downs[version], down.name == up.name else {
                throw MigrationError(
                    .missingDown, "expected a down file named \(up.name), got \(downs[version]?.name ?? "none")",
                    version: version)
            }
            let firstLine = up.contents.prefix { !$0.isNewline }
            migrations.append(
                Migration(
                    version: version, name: up.name, up: up.contents, down: down.contents,
                    isBreaking: firstLine == "-- breaking"))
        }
        return migrations
    }

    private static func parse(_ fileName: String, _ contents: String) throws(MigrationError) -> File {
        let refusal = MigrationError(
            .badFileName, "expected m<number>_<name>.up.sql or .down.sql, got \(fileName)")
        let isUp = fileName.hasSuffix(".up.sql")
        guard isUp || fileName.hasSuffix(".down.sql"), fileName.hasPrefix("m") else { throw refusal }
        let stem = fileName.dropFirst().dropLast(isUp ? ".up.sql".count : ".down.sql".count)
        let parts = stem.split(separator: "_", maxSplits: 1)
        guard parts.count == 2, parts[0].allSatisfy({ $0.isASCII && $0.isNumber }), let version = Int(parts[0]),
            version > 0
        else { throw refusal }
        return File(version: version, name: String(parts[1]), isUp: isUp, contents: contents)
    }
}
