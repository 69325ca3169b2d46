package import PostgresClient
import Recurrence
package import SchedulerCore

/// The limits that schedules share: who counts their places to take one holds their locks.
///
/// A place is a row of `runs` that names the limit, counted anew each time: no counter that could go wrong. It is taken
/// under the lock of the limit's slot, which lasts until the transaction ends; it is given back by whoever ends the
/// execution, without a lock, for fewer than were counted are no harm.
package enum ConcurrencyTable {
    /// Rows of `concurrency_slots`.
    private static let slots: UInt64 = 1024

    private static func slot(_ kind: String, _ name: String) -> Int32 {
        Int32(Digest.stableNumber(of: "concurrency/\(kind)/\(name)", below: slots))
    }

    static let lockStatement = Statement(
        "concurrency_lock",
        "SELECT slot FROM scheduler.concurrency_slots WHERE slot = ANY ($1::int[]) ORDER BY slot FOR UPDATE",
        types: [.int32Array])

    /// Locks limits until the transaction ends, in the one order that everybody follows: behind the timers, before
    /// executions.
    package static func lock(
        _ names: some Collection<ConcurrencyNames>, in transaction: PostgresTransaction
    ) async throws {
        var slots: Set<Int32> = []
        for names in names {
            if let key = names.key { slots.insert(slot("key", key)) }
            if let target = names.target { slots.insert(slot("target", target)) }
        }
        guard !slots.isEmpty else { return }
        _ = try await transaction.query(lockStatement, [PostgresValue.int32s(slots.sorted())])
    }

    /// More that wait than this make no difference to anybody. Indexes of m0016.
    static let keysStatement = Statement(
        "concurrency_keys",
        """
        SELECT u.name, (SELECT count(*) FROM scheduler.runs r WHERE r.concurrency_key = u.name),
            (SELECT count(*) FROM (SELECT 1 FROM scheduler.buffered b WHERE b.concurrency_key = u.name LIMIT 10000) w),
            (SELECT (n.concurrency ->> substr(u.name, strpos(u.name, '/') + 1))::integer FROM scheduler.namespaces n
             WHERE n.namespace = split_part(u.name, '/', 1))
        FROM unnest($1::text[]) AS u (name)
        """, types: [.textArray], isReadOnly: true)
    static let targetsStatement = Statement(
        "concurrency_targets",
        """
        SELECT u.name, (SELECT count(*) FROM scheduler.runs r WHERE r.target_limit = u.name),
            (SELECT count(*) FROM (SELECT 1 FROM scheduler.buffered b WHERE b.target_limit = u.name LIMIT 10000) w)
        FROM unnest($1::text[]) AS u (name)
        """, types: [.textArray], isReadOnly: true)

    /// How limits stand. Exact while they are locked.
    package static func standings(
        of names: some Collection<ConcurrencyNames>, on runner: some StatementRunner
    ) async throws -> ConcurrencyBook {
        let keys = Set(names.compactMap(\.key)).sorted()
        let targets = Set(names.compactMap(\.target)).sorted()
        var found: (keys: [String: ConcurrencyBook.Standing], targets: [String: ConcurrencyBook.Standing]) = ([:], [:])
        if !keys.isEmpty {
            for row in try await runner.query(keysStatement, [PostgresValue.texts(keys)]) {
                found.keys[try row.text(0)] = ConcurrencyBook.Standing(
                    places: row.isNull(3) ? ConcurrencyLimits.usual : Int(try row.int32(3)),
                    open: Int(try row.int64(1)), waiting: Int(try row.int64(2)))
            }
        }
        if !targets.isEmpty {
            for row in try await runner.query(targetsStatement, [PostgresValue.texts(targets)]) {
                found.targets[try row.text(0)] = ConcurrencyBook.Standing(
                    open: Int(try row.int64(1)), waiting: Int(try row.int64(2)))
            }
        }
        return ConcurrencyBook(keys: found.keys, targets: found.targets)
    }

    /// Locks limits, and says how they stand. Asks nothing where there are none.
    package static func hold(
        _ limits: [ConcurrencyLimits], in transaction: PostgresTransaction
    ) async throws -> ConcurrencyBook {
        let names = Set(limits.lazy.map(\.names).filter { !$0.isEmpty })
        guard !names.isEmpty else { return ConcurrencyBook() }
        try await lock(names, in: transaction)
        return try await standings(of: names, on: transaction)
    }

    static let renameStatement = Statement(
        "buffered_limits",
        """
        UPDATE scheduler.buffered SET concurrency_key = $2, target_limit = $3
        WHERE schedule_id = $1 AND (concurrency_key IS DISTINCT FROM $2 OR target_limit IS DISTINCT FROM $3)
        """, types: [.uuid, .text, .text])

    /// Lets what waits of a schedule wait for other limits. The caller holds its timer.
    package static func rename(_ names: ConcurrencyNames, of schedule: ScheduleID) -> Call {
        renameStatement(.id(schedule), .text(names.key), .text(names.target))
    }

    /// What is known of one limit.
    package struct Use: Hashable, Sendable {
        package let names: ConcurrencyNames
        package let open: Int64
        package let waiting: Int64
    }

    static let useStatement = Statement(
        "concurrency_use",
        """
        SELECT concurrency_key, target_limit, sum(open)::bigint, sum(waiting)::bigint
        FROM (SELECT concurrency_key, NULL AS target_limit, 1 AS open, 0 AS waiting FROM scheduler.runs
              WHERE concurrency_key IS NOT NULL
              UNION ALL SELECT NULL, target_limit, 1, 0 FROM scheduler.runs WHERE target_limit IS NOT NULL
              UNION ALL SELECT concurrency_key, NULL, 0, 1 FROM scheduler.buffered WHERE concurrency_key IS NOT NULL
              UNION ALL SELECT NULL, target_limit, 0, 1 FROM scheduler.buffered WHERE target_limit IS NOT NULL) used
        WHERE $1::text IS NULL OR starts_with(concurrency_key, $1)
        GROUP BY 1, 2 ORDER BY 4 DESC, 3 DESC, 1, 2 LIMIT $2
        """, types: [.text, .int64], isReadOnly: true)

    /// The limits that are used at this moment; those for which most wait come first.
    /// - Parameter namespace: only its keys; nil for all limits.
    package static func use(
        of namespace: String? = nil, limit: Int, on runner: some StatementRunner
    ) async throws -> [Use] {
        let prefix = namespace.map { ConcurrencyNames.prefix(of: $0) }
        return try await runner.query(useStatement, [.text(prefix), .int64(Int64(limit))]).map {
            Use(
                names: ConcurrencyNames(key: try $0.textOrNil(0), target: try $0.textOrNil(1)),
                open: try $0.int64(2), waiting: try $0.int64(3))
        }
    }

    static let holdersStatement = Statement(
        "concurrency_holders",
        """
        SELECT s.name, r.execution_id FROM scheduler.runs r JOIN scheduler.schedules s ON s.id = r.schedule_id
        WHERE (r.concurrency_key = $1 OR r.target_limit = $2) AND s.namespace = $3 ORDER BY r.opened_at LIMIT $4
        """, types: [.text, .text, .text, .int64], isReadOnly: true)

    /// The executions of a namespace that hold places of limits, longest first.
    package static func holders(
        of names: ConcurrencyNames, in namespace: Namespace, limit: Int, on runner: some StatementRunner
    ) async throws -> [(schedule: String, execution: ExecutionID)] {
        try await runner.query(
            holdersStatement,
            [.text(names.key), .text(names.target), .text(namespace.description), .int64(Int64(limit))]
        ).map { (try $0.text(0), try $0.executionID(1)) }
    }
}
