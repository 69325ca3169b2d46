package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The definitions: one row a schedule, changed by commands only.
package enum ScheduleTable {
    /// All columns, in the order that ``schedule(of:)`` reads and ``values(of:)`` binds.
    static let columns =
        [
            "id", "namespace", "name", "version", "generation", "state", "pause_reason", "description", "schedule_type",
            "cron_expression", "interval_ms", "run_at", "timezone", "dst_policy", "start_at", "end_at", "max_runs",
            "spread_ms", "anchor_at", "target_command", "command_payload", "payload_sha256", "command_headers",
            "delivery",
            "guarantee", "completion", "start_timeout_seconds", "run_timeout_seconds", "heartbeat_timeout_seconds",
            "overlap_policy", "max_in_flight", "misfire_policy", "misfire_grace_ms", "catchup_window_ms",
            "catchup_limit",
            "max_retries", "retry_delay_seconds", "retry_max_delay_seconds", "retry_max_age_seconds",
            "pause_after_failures", "priority", "tags", "metadata", "delete_when_exhausted", "created_at", "created_by",
            "updated_at", "updated_by", "ended_at", "rrule", "only_on", "not_on", "day_shift", "windows", "outside",
            "paused_until", "payload_template", "after",
        ] + eventColumns + ["concurrency_key", "shadow"]
    private static let eventColumns = [
        "event_subject", "event_stream", "delay_ms", "debounce_ms", "max_rate_per_second", "absence_ms",
    ]
    static let columnList = columns.map { "s.\($0)" }.joined(separator: ", ")

    static func values(of schedule: Schedule) -> [PostgresValue] {
        let definition = schedule.definition
        let isEnded = schedule.state == .deleted || schedule.state == .exhausted
        return [
            .id(schedule.id), .text(schedule.namespace.description), .text(definition.name.description),
            .int64(schedule.version), .int32(schedule.generation), .text(schedule.state.rawValue),
            .text(schedule.pauseReason), .text(definition.description),
        ] + timingValues(definition.timing, anchor: schedule.anchor) + [
            .text(definition.target.description), .json(definition.payload), .bytes(Digest.sha256(definition.payload)),
            .json(PairsText.encode(definition.headers)), .text(definition.delivery.rawValue),
            .text(definition.guarantee.rawValue), .text(definition.completion.rawValue),
            .float8(definition.startTimeoutSeconds), .float8(definition.runTimeoutSeconds),
            .float8(definition.heartbeatTimeoutSeconds), .text(definition.overlapPolicy.rawValue),
            .int32(definition.maxInFlight), .text(definition.misfire.policy.rawValue),
            .int64(definition.misfire.graceMilliseconds), .int64(definition.misfire.catchupWindowMilliseconds),
            .int64(definition.misfire.catchupLimit), .int32(definition.retry.maxRetries),
            .float8(definition.retry.delaySeconds), .float8(definition.retry.maxDelaySeconds),
            .float8(definition.retry.maxAgeSeconds), .int32(definition.pauseAfterFailures),
            .int16(definition.priority), PostgresValue.texts(definition.tags),
            .json(PairsText.encode(definition.metadata)),
            .bool(definition.deleteWhenExhausted), .instant(schedule.createdAt), .text(schedule.createdBy),
            .instant(schedule.updatedAt), .text(schedule.updatedBy), isEnded ? .instant(schedule.updatedAt) : .null,
            .text(definition.timing.rrule),
        ] + ConstraintText.values(of: definition.timing.constraint) + [
            .instant(schedule.pausedUntil), .bool(definition.payloadTemplate), FollowText.value(of: definition.after),
        ] + EventColumns.values(of: definition.timing.event) + [
            .text(definition.concurrencyKey), .bool(definition.isShadow),
        ]
    }

    private static func timingValues(_ timing: Timing, anchor: Instant) -> [PostgresValue] {
        [
            .text(timing.type.rawValue), .text(timing.cronExpression), .int64(timing.intervalMilliseconds),
            .instant(timing.runAt), .text(timing.timezone), .text(timing.dstPolicy.rawValue),
            .instant(timing.startAt), .instant(timing.endAt), .int64(timing.maxRuns),
            .int64(timing.spreadMilliseconds), .instant(anchor),
        ]
    }

    static let insertStatement = Statement(
        "schedules_insert",
        """
        INSERT INTO scheduler.schedules (\(columns.joined(separator: ", ")))
        VALUES (\((1...columns.count).map { "$\($0)" }.joined(separator: ", ")))
        """)

    package static func insert(_ schedule: Schedule) -> Call { Call(insertStatement, values(of: schedule)) }

    static let updateStatement = Statement(
        "schedules_update",
        """
        UPDATE scheduler.schedules SET
        \(columns.enumerated().dropFirst().map { "\($1) = $\($0 + 1)" }.joined(separator: ", "))
        WHERE id = $1
        """)

    package static func update(_ schedule: Schedule) -> Call { Call(updateStatement, values(of: schedule)) }

    /// The constraint that a taken name breaks.
    package static let nameConstraint = "schedules_name"

    static let fetchStatement = Statement(
        "schedules_fetch", "SELECT \(columnList) FROM scheduler.schedules s WHERE s.id = ANY ($1::uuid[])",
        types: [.uuidArray], isReadOnly: true)

    /// A row that this program cannot make a schedule of.
    package struct Unreadable: Sendable {
        package let id: ScheduleID
        /// What an event may call it; nil where the row's own names are none.
        package let names: (namespace: String, name: String)?
        /// The spread's offset in milliseconds; 0 where it cannot be told.
        package let offset: Int64
        package let fault: String
    }

    /// Rows as far as they can be read: one that cannot keeps no other from its reader.
    package struct Fetched: Sendable {
        package var schedules: [Schedule] = []
        package var unreadable: [Unreadable] = []

        init(_ rows: PostgresRows) throws(PostgresError) {
            schedules.reserveCapacity(rows.count)
            for row in rows {
                do throws(PostgresError) { schedules.append(try schedule(of: row)) } catch {
                    unreadable.append(try Unreadable(row, error))
                }
            }
        }
    }

    /// The schedules with these ids, whatever their state: a rescue needs deleted ones too.
    package static func fetch(_ ids: [ScheduleID], on runner: some StatementRunner) async throws -> Fetched {
        try Fetched(await runner.query(fetchStatement, [.ids(ids)]))
    }

    static let holdStatement = Statement(
        "schedules_hold", fetchStatement.sql + " FOR UPDATE", types: [.uuidArray])

    /// One schedule, locked until the transaction ends; the caller holds its timer. Nil where there is none that can be
    /// read.
    package static func hold(_ id: ScheduleID, in transaction: PostgresTransaction) async throws -> Schedule? {
        try Fetched(await transaction.query(holdStatement, [.ids([id])])).schedules.first
    }

    static let findByIDStatement = Statement(
        "schedules_find_by_id",
        """
        SELECT \(columnList) FROM scheduler.schedules s
        WHERE s.id = $2 AND s.namespace = $1 AND s.state <> 'deleted'
        """, types: [.text, .uuid], isReadOnly: true)
    static let findByIDLockedStatement = Statement(
        "schedules_find_by_id_locked", findByIDStatement.sql + " FOR UPDATE", types: [.text, .uuid])

    /// Index `schedules_called`, in its order: one entry is read, however many exhausted schedules had the name.
    static let findByNameStatement = Statement(
        "schedules_find_by_name",
        """
        SELECT \(columnList) FROM scheduler.schedules s
        WHERE s.namespace = $1 AND s.name = $2 AND s.state <> 'deleted'
        ORDER BY (s.state = 'exhausted'), s.id DESC LIMIT 1
        """, types: [.text, .text], isReadOnly: true)

    /// The schedule that a namespace calls by an id or a name; a live one before an exhausted one of the same name.
    package static func find(
        _ reference: ScheduleReference, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Schedule? {
        let namespace = PostgresValue.text(namespace.description)
        let rows =
            switch reference {
            case .id(let id): try await runner.query(findByIDStatement, [namespace, .id(id)])
            case .name(let name): try await runner.query(findByNameStatement, [namespace, .text(name.description)])
            }
        return try rows.first.map { try schedule(of: $0) }
    }

    /// Index `schedules_name`, one search a name.
    static let takenStatement = Statement(
        "schedules_taken",
        """
        SELECT s.name FROM scheduler.schedules s
        WHERE s.namespace = $1 AND s.name = ANY ($2::text[]) AND s.state NOT IN ('exhausted', 'deleted')
        """, types: [.text, .textArray], isReadOnly: true)

    /// Those of these names that schedules have.
    package static func taken(
        _ names: [ScheduleName], in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Set<String> {
        let rows = try await runner.query(
            takenStatement, [.text(namespace.description), PostgresValue.texts(names.map(\.description))])
        return Set(try rows.map { try $0.text(0) })
    }

    /// Locks a schedule until the transaction ends; its timer is locked before.
    package static func lock(
        _ id: ScheduleID, in namespace: Namespace, in transaction: PostgresTransaction
    ) async throws -> Schedule? {
        try await transaction.query(findByIDLockedStatement, [.text(namespace.description), .id(id)]).first
            .map { try schedule(of: $0) }
    }

    /// Index `schedules_ended`, oldest first; nothing of which an execution is open. Timers are locked before schedules, as everybody locks them; one that a
    /// command holds is left for the next page.
    static let forgetStatement = Statement(
        "schedules_forget",
        """
        WITH old AS (
            SELECT s.id FROM scheduler.schedules s
            WHERE s.ended_at < $1 AND NOT EXISTS (SELECT FROM scheduler.runs r WHERE r.schedule_id = s.id)
            ORDER BY s.ended_at LIMIT $2),
        held AS MATERIALIZED (
            SELECT schedule_id FROM scheduler.timers WHERE schedule_id IN (SELECT id FROM old)
            ORDER BY schedule_id FOR UPDATE SKIP LOCKED),
        gone AS (
            DELETE FROM scheduler.schedules s USING held WHERE s.id = held.schedule_id AND s.ended_at < $1
            RETURNING s.id)
        DELETE FROM scheduler.timers t USING gone WHERE t.schedule_id = gone.id
        """, types: [.timestamptz, .int64])

    /// Forgets one page of schedules that ended before `instant`: their history is gone. - Returns: how many.
    package static func forgetEnded(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        try await runner.query(forgetStatement, [.instant(instant), .int64(Int64(page))]).affected
    }

    static func schedule(of row: PostgresRow) throws(PostgresError) -> Schedule {
        do {
            var timing = Timing(type: try row.choice(8))
            timing.cronExpression = try row.textOrNil(9)
            timing.intervalMilliseconds = try row.int64OrNil(10)
            timing.runAt = try row.instantOrNil(11)
            timing.timezone = try row.text(12)
            timing.dstPolicy = try row.choice(13)
            timing.startAt = try row.instantOrNil(14)
            timing.endAt = try row.instantOrNil(15)
            timing.maxRuns = try row.int64OrNil(16)
            timing.spreadMilliseconds = try row.int64(17)
            timing.rrule = try row.textOrNil(49)
            timing.constraint = try ConstraintText.constraint(of: row, from: 50)
            timing.event = try EventColumns.rule(of: row, from: 58)
            var definition = ScheduleDefinition(
                name: try ScheduleName(try row.text(2)), timing: timing, target: try TargetSubject(try row.text(19)))
            try readDelivery(row, into: &definition)
            try readPolicies(row, into: &definition)
            return Schedule(
                id: try row.scheduleID(0), namespace: try Namespace(try row.text(1)), definition: definition,
                version: try row.int64(3), generation: try row.int32(4), state: try row.choice(5),
                pauseReason: try row.textOrNil(6), pausedUntil: try row.instantOrNil(55),
                anchor: try row.instant(18), createdAt: try row.instant(44),
                createdBy: try row.textOrNil(45), updatedAt: try row.instant(46), updatedBy: try row.textOrNil(47))
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.decoding, "a schedule's row cannot be read: \(error)")
        }
    }

    private static func readDelivery(_ row: PostgresRow, into definition: inout ScheduleDefinition) throws {
        definition.description = try row.text(7)
        definition.payload = try row.json(20)
        definition.headers = try PairsText.decode(try row.json(22))
        definition.delivery = try row.choice(23)
        definition.guarantee = try row.choice(24)
        definition.completion = try row.choice(25)
        definition.startTimeoutSeconds = try row.float8OrNil(26)
        definition.runTimeoutSeconds = try row.float8(27)
        definition.heartbeatTimeoutSeconds = try row.float8OrNil(28)
    }

    private static func readPolicies(_ row: PostgresRow, into definition: inout ScheduleDefinition) throws {
        definition.overlapPolicy = try row.choice(29)
        definition.maxInFlight = try row.int32(30)
        definition.misfire = MisfireRule(
            policy: try row.choice(31), graceMilliseconds: try row.int64(32),
            catchupWindowMilliseconds: try row.int64(33), catchupLimit: try row.int64(34))
        definition.retry = RetryRule(
            maxRetries: try row.int32(35), delaySeconds: try row.float8(36), maxDelaySeconds: try row.float8(37),
            maxAgeSeconds: try row.float8(38))
        definition.pauseAfterFailures = try row.int32OrNil(39)
        definition.priority = try row.int16(40)
        definition.tags = try row.textArray(41)
        definition.metadata = try PairsText.decode(try row.json(42))
        definition.deleteWhenExhausted = try row.bool(43)
        definition.payloadTemplate = try row.bool(56)
        definition.after = try FollowText.rule(of: row, 57)
        definition.concurrencyKey = try row.textOrNil(64)
        definition.isShadow = try row.bool(65)
    }
}

extension ScheduleTable.Unreadable {
    init(_ row: PostgresRow, _ error: PostgresError) throws(PostgresError) {
        id = try row.scheduleID(0)
        let (namespace, name) = (try row.text(1), try row.text(2))
        let isNamed = (try? Namespace(namespace)) != nil && (try? ScheduleName(name)) != nil
        names = isNamed ? (namespace, name) : nil
        offset = SchedulerCore.Schedule.spreadOffset(
            of: "\(namespace)/\(name)", spreadMilliseconds: try row.int64(17))
        fault = error.message
    }
}

/// How a request names a schedule.
package enum ScheduleReference: Hashable, Sendable {
    case id(ScheduleID)
    case name(ScheduleName)
}
