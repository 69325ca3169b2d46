import PostgresClient

/// All SQL on `schema_migrations`.
struct MigrationTable: Sendable {
    let schema: String

    /// The lock's key: an arbitrary constant, the same in every migrator ("carillon" in ASCII).
    private static let lockKey: Int64 = 0x6361_7269_6c6c_6f6e

    var create: String {
        """
        CREATE SCHEMA IF NOT EXISTS \(schema);
        CREATE TABLE IF NOT EXISTS \(schema).schema_migrations (
            version    integer     PRIMARY KEY CHECK (version > 0),
            name       text        NOT NULL,
            checksum   text        NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
            applied_at timestamptz NOT NULL DEFAULT now(),
            breaking   boolean     NOT NULL
        );
        COMMENT ON TABLE \(schema).schema_migrations IS 'What the migrator has applied; checksum is SHA-256 of the up text.';
        """
    }

    var exists: Statement {
        Statement(
            "migrations_exist", "SELECT to_regclass('\(schema).schema_migrations') IS NOT NULL", isReadOnly: true)
    }

    var tryLock: Statement {
        Statement("migrations_lock", "SELECT pg_try_advisory_lock(\(Self.lockKey))", isReadOnly: true)
    }

    var checksums: Statement {
        Statement(
            "migrations_checksums",
            """
            SELECT encode(sha256(t.contents), 'hex')
            FROM unnest($1::bytea[]) WITH ORDINALITY AS t(contents, place)
            ORDER BY t.place
            """, isReadOnly: true)
    }

    var all: Statement {
        Statement(
            "migrations_all",
            "SELECT version, name, checksum, applied_at, breaking FROM \(schema).schema_migrations ORDER BY version",
            isReadOnly: true)
    }

    func decode(_ row: PostgresRow) throws(PostgresError) -> AppliedMigration {
        AppliedMigration(
            version: Int(try row.int32(0)), name: try row.text(1), checksum: try row.text(2),
            appliedAt: try row.timestamptz(3), isBreaking: try row.bool(4))
    }

    func inserted(_ migration: Migration, _ checksum: String) -> Call {
        let insert = Statement(
            "migrations_insert",
            """
            INSERT INTO \(schema).schema_migrations (version, name, checksum, breaking)
            VALUES ($1::integer, $2::text, $3::text, $4::boolean)
            """)
        return insert(
            .int32(Int32(migration.version)), .text(migration.name), .text(checksum), .bool(migration.isBreaking))
    }

    func deleted(_ migration: Migration) -> Call {
        let delete = Statement(
            "migrations_delete", "DELETE FROM \(schema).schema_migrations WHERE version = $1::integer")
        return delete(.int32(Int32(migration.version)))
    }
}
