package import Migrations
package import PostgresClient

/// The schema that this program knows: the files of `migrations/`, embedded.
package enum Schema {
    package static func migrator(_ configuration: PostgresConfiguration) throws -> Migrator {
        try Migrator(configuration, migrations: migrations())
    }

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
        ])
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
