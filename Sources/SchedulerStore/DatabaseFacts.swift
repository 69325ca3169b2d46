import PostgresClient

/// What `carillon doctor` wants to know of a PostgreSQL server and of the role that the service has on it. Reads catalogues
/// and views that everybody may read; needs no table of the service's own.
package struct DatabaseFacts: Sendable, Equatable {
    /// 150004 for 15.4.
    package var versionNumber: Int32 = 150_000
    package var version = "15"
    package var role = "carillon_serve"
    package var isSuperuser = false
    /// Whether it may change or drop the schema's tables.
    package var ownsTables = false
    package var hasSchema = true
    /// Tables that it may not read or write as the service does.
    package var withheldTables: [String] = []
    /// As they hold in this session, by their names.
    package var settings: [String: String] = [:]
    package var isInRecovery = false
    package var mostConnections: Int32 = 100
    /// Of these, those for superusers alone.
    package var reservedConnections: Int32 = 3
    /// Sessions of all databases; of the service's instances; of this role; of this database.
    package var sessions: Int64 = 0
    package var serviceSessions: Int64 = 0
    package var roleSessions: Int64 = 0
    package var databaseSessions: Int64 = 0
    /// -1: no limit.
    package var roleLimit: Int32 = -1
    package var databaseLimit: Int32 = -1
    package var preparedTransactions: Int64 = 0
    /// The age in seconds of the oldest transaction in this database that this role may see.
    package var oldestTransaction: Double = 0

    package init() {}

    static let readStatement = Statement(
        "database_facts",
        """
        SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_user::text,
            r.rolsuper, to_regnamespace('scheduler') IS NOT NULL,
            EXISTS (SELECT FROM pg_class c
                WHERE c.relnamespace = to_regnamespace('scheduler') AND c.relkind IN ('r', 'p')
                    AND pg_has_role(c.relowner, 'USAGE')),
            ARRAY(SELECT c.relname::text FROM pg_class c
                WHERE c.relnamespace = to_regnamespace('scheduler') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                    AND NOT (has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                        AND (c.relname IN ('schema_migrations', 'audit_chain', 'retention_floors')
                            OR has_any_column_privilege(c.oid, 'INSERT')))
                ORDER BY 1),
            ARRAY(SELECT s.name || '=' || s.setting FROM pg_settings s
                WHERE s.name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts',
                    'idle_session_timeout', 'transaction_timeout', 'statement_timeout', 'search_path',
                    'default_transaction_read_only', 'data_checksums') ORDER BY 1),
            pg_is_in_recovery(), current_setting('max_connections')::integer,
            current_setting('superuser_reserved_connections')::integer
                + coalesce(current_setting('reserved_connections', true)::integer, 0),
            (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL),
            (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'carillon %'),
            (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid),
            (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid), r.rolconnlimit, d.datconnlimit,
            (SELECT count(*) FROM pg_prepared_xacts),
            coalesce((SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start))::float8 FROM pg_stat_activity a
                WHERE a.datid = d.oid AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL), 0)
        FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
        """, isReadOnly: true)

    package static func read(on runner: some StatementRunner) async throws -> DatabaseFacts {
        var facts = DatabaseFacts()
        guard let row = try await runner.query(readStatement, []).first else { return facts }
        facts.versionNumber = try row.int32(0)
        facts.version = try row.text(1)
        facts.role = try row.text(2)
        facts.isSuperuser = try row.bool(3)
        facts.hasSchema = try row.bool(4)
        facts.ownsTables = try row.bool(5)
        facts.withheldTables = try row.textArray(6)
        for pair in try row.textArray(7) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { facts.settings[String(parts[0])] = String(parts[1]) }
        }
        facts.isInRecovery = try row.bool(8)
        facts.mostConnections = try row.int32(9)
        facts.reservedConnections = try row.int32(10)
        facts.sessions = try row.int64(11)
        facts.serviceSessions = try row.int64(12)
        facts.roleSessions = try row.int64(13)
        facts.databaseSessions = try row.int64(14)
        facts.roleLimit = try row.int32(15)
        facts.databaseLimit = try row.int32(16)
        facts.preparedTransactions = try row.int64(17)
        facts.oldestTransaction = try row.float8(18)
        return facts
    }
}

/// What the doctor wants to know of the service's own tables, on a schema that is this program's.
package enum StandingFacts {
    static let floorsStatement = Statement(
        "retention_floors", "SELECT history_days, audit_days FROM scheduler.retention_floors", isReadOnly: true)

    /// Days of history and of the audit log that the service cannot drop.
    package static func floors(on runner: some StatementRunner) async throws -> (history: Int32, audit: Int32)? {
        try await runner.query(floorsStatement, []).first.map { (try $0.int32(0), try $0.int32(1)) }
    }

    static let streamTargetsStatement = Statement(
        "schedules_stream_targets",
        """
        SELECT DISTINCT target_command FROM scheduler.schedules
        WHERE state IN ('active', 'paused') AND delivery = 'jetstream' LIMIT $1
        """, types: [.int64], isReadOnly: true)

    /// Subjects at which schedules fire and which a stream must take. Reads all schedules: for who is not in a hurry.
    package static func streamTargets(limit: Int, on runner: some StatementRunner) async throws -> [String] {
        try await runner.query(streamTargetsStatement, [.int64(Int64(limit))]).map { try $0.text(0) }
    }
}
