package import Migrations
package import PostgresClient

/// The schema that this program knows: the files of `migrations/`, embedded.
package enum Schema {
    package static func migrator(
        _ configuration: PostgresConfiguration, limits: Migrator.Limits = Migrator.Limits()
    ) throws -> Migrator {
        try Migrator(configuration, migrations: migrations(), limits: limits)
    }

    /// Applies what is missing, and grants the roles what they may do on the tables as they are then.
    /// - Returns: the versions it applied, and what it could not grant, a sentence each.
    package static func update(_ migrator: Migrator) async throws(MigrationError) -> (applied: [Int], denied: [String])
    {
        (try await migrator.up(), try await migrator.lines(of: grantRoles))
    }

    /// Makes the roles of `docs/security.md` and grants them what they may do on the schema as it is now; gives what it
    /// could not do, a sentence each. On a schema that is up to date.
    package static let grantRoles = Statement("roles_grant", "SELECT scheduler.grant_roles()")

    /// The instances that have sessions in this database now, by what their sessions are called.
    package static let runningInstances = Statement(
        "instances_running",
        """
        SELECT DISTINCT application_name FROM pg_stat_activity
        WHERE datname = current_database() AND application_name ~ '^carillon [0-9a-f]{8}-'
        """, isReadOnly: true)

    static func migrations() throws -> [Migration] {
        try Migration.parse([
            ("m0001_scheduler.up.sql", text(PackageResources.m0001_scheduler_up_sql)),
            ("m0001_scheduler.down.sql", text(PackageResources.m0001_scheduler_down_sql)),
            ("m0002_upkeep.up.sql", text(PackageResources.m0002_upkeep_up_sql)),
            ("m0002_upkeep.down.sql", text(PackageResources.m0002_upkeep_down_sql)),
            ("m0003_upkeep_indexes.up.sql", text(PackageResources.m0003_upkeep_indexes_up_sql)),
            ("m0003_upkeep_indexes.down.sql", text(PackageResources.m0003_upkeep_indexes_down_sql)),
            ("m0004_rrule.up.sql", text(PackageResources.m0004_rrule_up_sql)),
            ("m0004_rrule.down.sql", text(PackageResources.m0004_rrule_down_sql)),
            ("m0005_calendars.up.sql", text(PackageResources.m0005_calendars_up_sql)),
            ("m0005_calendars.down.sql", text(PackageResources.m0005_calendars_down_sql)),
            ("m0006_templates.up.sql", text(PackageResources.m0006_templates_up_sql)),
            ("m0006_templates.down.sql", text(PackageResources.m0006_templates_down_sql)),
            ("m0007_submitted.up.sql", text(PackageResources.m0007_submitted_up_sql)),
            ("m0007_submitted.down.sql", text(PackageResources.m0007_submitted_down_sql)),
            ("m0008_targets.up.sql", text(PackageResources.m0008_targets_up_sql)),
            ("m0008_targets.down.sql", text(PackageResources.m0008_targets_down_sql)),
            ("m0009_surface.up.sql", text(PackageResources.m0009_surface_up_sql)),
            ("m0009_surface.down.sql", text(PackageResources.m0009_surface_down_sql)),
            ("m0010_ledger.up.sql", text(PackageResources.m0010_ledger_up_sql)),
            ("m0010_ledger.down.sql", text(PackageResources.m0010_ledger_down_sql)),
            ("m0011_lives.up.sql", text(PackageResources.m0011_lives_up_sql)),
            ("m0011_lives.down.sql", text(PackageResources.m0011_lives_down_sql)),
            ("m0012_chains.up.sql", text(PackageResources.m0012_chains_up_sql)),
            ("m0012_chains.down.sql", text(PackageResources.m0012_chains_down_sql)),
            ("m0013_letters.up.sql", text(PackageResources.m0013_letters_up_sql)),
            ("m0013_letters.down.sql", text(PackageResources.m0013_letters_down_sql)),
            ("m0014_overlap.up.sql", text(PackageResources.m0014_overlap_up_sql)),
            ("m0014_overlap.down.sql", text(PackageResources.m0014_overlap_down_sql)),
            ("m0015_events.up.sql", text(PackageResources.m0015_events_up_sql)),
            ("m0015_events.down.sql", text(PackageResources.m0015_events_down_sql)),
            ("m0016_concurrency.up.sql", text(PackageResources.m0016_concurrency_up_sql)),
            ("m0016_concurrency.down.sql", text(PackageResources.m0016_concurrency_down_sql)),
            ("m0017_put_off.up.sql", text(PackageResources.m0017_put_off_up_sql)),
            ("m0017_put_off.down.sql", text(PackageResources.m0017_put_off_down_sql)),
            ("m0018_roles.up.sql", text(PackageResources.m0018_roles_up_sql)),
            ("m0018_roles.down.sql", text(PackageResources.m0018_roles_down_sql)),
            ("m0019_metrics.up.sql", text(PackageResources.m0019_metrics_up_sql)),
            ("m0019_metrics.down.sql", text(PackageResources.m0019_metrics_down_sql)),
            ("m0020_traces.up.sql", text(PackageResources.m0020_traces_up_sql)),
            ("m0020_traces.down.sql", text(PackageResources.m0020_traces_down_sql)),
            ("m0021_shadow.up.sql", text(PackageResources.m0021_shadow_up_sql)),
            ("m0021_shadow.down.sql", text(PackageResources.m0021_shadow_down_sql)),
        ])
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
