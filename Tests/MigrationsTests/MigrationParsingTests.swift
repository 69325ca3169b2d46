import Migrations
import Testing

struct MigrationParsingTests {
    @Test func filesBecomeMigrationsInOrder() throws {
        let migrations = try Migration.parse([
            ("m0002_second.down.sql", "d2"), ("m0001_first_of_all.up.sql", "u1"),
            ("m0002_second.up.sql", "-- breaking\nu2"), ("m0001_first_of_all.down.sql", "d1"),
        ])
        #expect(
            migrations == [
                Migration(version: 1, name: "first_of_all", up: "u1", down: "d1"),
                Migration(version: 2, name: "second", up: "-- breaking\nu2", down: "d2", isBreaking: true),
            ])
    }

    static let refused: [([String], MigrationError.Code)] = [
        (["m0001_a.up.sql", "m0001_a.down.sql", "m0003_c.up.sql", "m0003_c.down.sql"], .gap),
        (["m0002_b.up.sql", "m0002_b.down.sql"], .gap),
        (["m0001_a.up.sql", "m0001_b.up.sql", "m0001_a.down.sql"], .duplicateVersion),
        (["m0001_a.up.sql", "m1_a.up.sql", "m0001_a.down.sql"], .duplicateVersion),
        (["m0001_a.up.sql"], .missingDown),
        (["m0001_a.up.sql", "m0001_b.down.sql"], .missingDown),
        (["m0001_a.down.sql"], .missingUp),
        (["0001_a.up.sql"], .badFileName),
        (["m0001.up.sql"], .badFileName),
        (["m0000_a.up.sql"], .badFileName),
        (["mx_a.up.sql"], .badFileName),
        (["m0001_a.sql"], .badFileName),
    ]

    @Test(arguments: refused) func whatIsWrongIsNamed(_ names: [String], _ code: MigrationError.Code) {
        #expect {
            try Migration.parse(names.map { ($0, "") })
        } throws: { ($0 as? MigrationError)?.code == code }
    }
}
