package import PostgresClient
package import SchedulerCore
import SchedulerStore

/// An incarnation's sessions with PostgreSQL. Claims, records, upkeep, commands and long reads share none: a slow one
/// keeps no other waiting. All carry the incarnation's name, by which a fence ends them.
package struct SessionConnections: Sendable {
    package let claims: (PostgresConnection, PostgresConnection)
    package let records: (PostgresConnection, PostgresConnection)
    /// The clock alone: its answers let the lease be renewed, so nothing may stand before them.
    package let clock: PostgresConnection
    /// Fences and rescues.
    package let control: PostgresConnection
    /// Partitions, retention, the outbox's sweep.
    package let upkeep: PostgresConnection
    /// Workers' reports.
    package let reports: PostgresConnection
    /// Commands.
    package let pool: PostgresPool
    /// Lists and counts: long reads, each bounded by ``listTimeout``.
    package let lists: PostgresPool

    /// Sessions that an instance has open at most; one more looks at the migrations, now and then.
    package static let most = 8 + commandConnections + listConnections
    private static let commandConnections = 4
    private static let listConnections = 2
    /// Lists that wait for a connection. With those at work they are fewer than the commands that are carried out side
    /// by side: what comes beyond is refused, and the others go on.
    private static let mostListsWaiting = 8
    /// How long one statement of a list may take.
    package static let listTimeout = Duration.seconds(2)
    /// A page of a list is a stretch of an index in its order. The planner, which cannot know how soon a page is full,
    /// would gather and sort all that may come.
    package static let listSettings = ["enable_bitmapscan": "off", "enable_sort": "off"]

    package init(_ configuration: PostgresConfiguration, of instance: InstanceID) throws {
        var plain = configuration
        plain.applicationName = InstanceTable.applicationName(of: instance)
        plain.settings["jit"] = "off"
        var hot = plain
        // The hot statements join arrays to keys: a nested loop over the key's index is always right, whatever the
        // statistics of a table say that was empty a minute ago.
        hot.settings["enable_hashjoin"] = "off"
        hot.settings["enable_mergejoin"] = "off"
        hot.settings["enable_seqscan"] = "off"
        hot.planCacheMode = "force_generic_plan"
        claims = (try PostgresConnection(hot, reopens: true), try PostgresConnection(hot, reopens: true))
        records = (try PostgresConnection(hot, reopens: true), try PostgresConnection(hot, reopens: true))
        reports = try PostgresConnection(hot, reopens: true)
        clock = try PostgresConnection(plain, reopens: true)
        control = try PostgresConnection(plain, reopens: true)
        upkeep = try PostgresConnection(plain, reopens: true)
        pool = PostgresPool(plain, size: Self.commandConnections, maximumWaiters: 1024)
        var bounded = plain
        bounded.statementTimeout = Self.listTimeout
        bounded.settings.merge(Self.listSettings) { $1 }
        lists = PostgresPool(bounded, size: Self.listConnections, maximumWaiters: Self.mostListsWaiting)
    }

    package func close() async {
        let own = [claims.0, claims.1, records.0, records.1, reports, clock, control, upkeep]
        for connection in own { await connection.close() }
        await pool.shutDown(deadline: .now + .seconds(2))
        await lists.shutDown(deadline: .now)
    }
}
