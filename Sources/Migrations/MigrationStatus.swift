/// One version of the schema, as the program and the database see it.
package struct MigrationStatus: Sendable, Equatable {
    package enum State: String, Sendable {
        case applied
        case pending
        /// Applied, but the program's text of it is another now.
        case drifted
        /// Applied by a newer program; this one does not know it.
        case newer
    }

    package let version: Int
    package let name: String
    package let state: State
    /// Microseconds since 1970-01-01 00:00 UTC; nil while pending.
    package let appliedAt: Int64?
    package let isBreaking: Bool
}

/// A row of `schema_migrations`.
struct AppliedMigration: Sendable {
    let version: Int
    let name: String
    let checksum: String
    let appliedAt: Int64
    let isBreaking: Bool
}

/// What the program's migrations and the database's rows mean together. Pure.
struct MigrationPlan: Sendable {
    let migrations: [Migration]
    /// SHA-256 of each migration's up text, in hexadecimal, in the order of `migrations`.
    let checksums: [String]
    let applied: [AppliedMigration]

    /// The highest version in the database, 0 for an empty one.
    var current: Int { applied.last?.version ?? 0 }

    var status: [MigrationStatus] {
        let rows = Dictionary(uniqueKeysWithValues: applied.map { ($0.version, $0) })
        var status = zip(migrations, checksums).map { migration, checksum in
            let row = rows[migration.version]
            let state: MigrationStatus.State =
                row.map { $0.checksum == checksum && $0.name == migration.name ? .applied : .drifted } ?? .pending
            return MigrationStatus(
                version: migration.version, name: migration.name, state: state, appliedAt: row?.appliedAt,
                isBreaking: migration.isBreaking)
        }
        for row in applied where row.version > migrations.count {
            status.append(
                MigrationStatus(
                    version: row.version, name: row.name, state: .newer, appliedAt: row.appliedAt,
                    isBreaking: row.isBreaking))
        }
        return status
    }

    /// Throws `.schemaNewer` or `.checksumDrift`: on such a database nothing may be changed.
    func refuseForeignSchema() throws(MigrationError) {
        for entry in status {
            switch entry.state {
            case .newer:
                throw MigrationError(
                    .schemaNewer,
                    "expected a schema of version \(migrations.count) at most, got \(entry.name); use a newer program",
                    version: entry.version)
            case .drifted:
                throw MigrationError(
                    .checksumDrift, "expected the text that was applied, got another for \(entry.name)",
                    version: entry.version)
            case .applied, .pending: break
            }
        }
    }

    /// The migrations to apply, in order, to reach `target`.
    func up(to target: Int) throws(MigrationError) -> [(migration: Migration, checksum: String)] {
        try refuse(target)
        let done = Set(applied.map(\.version))
        return zip(migrations, checksums).filter { $0.0.version <= target && !done.contains($0.0.version) }
            .map { (migration: $0.0, checksum: $0.1) }
    }

    /// The migrations to take back, in order, to reach `target`.
    func down(to target: Int) throws(MigrationError) -> [Migration] {
        try refuse(target)
        let done = Set(applied.map(\.version))
        return migrations.reversed().filter { $0.version > target && done.contains($0.version) }
    }

    private func refuse(_ target: Int) throws(MigrationError) {
        guard (0...migrations.count).contains(target) else {
            throw MigrationError(
                .unknownVersion, "expected a version from 0 to \(migrations.count), got \(target)", version: target)
        }
        try refuseForeignSchema()
    }
}
