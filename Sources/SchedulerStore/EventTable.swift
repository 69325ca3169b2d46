package import PostgresClient
package import Recurrence
package import SchedulerCore

/// What schedules hear that messages drive: who listens, where each stands, and the messages that wait.
///
/// Everything of one schedule is written under the lock of its timer, so an intake and a claim never pass each other.
package enum EventTable {
    /// Index `schedules_listening`, and nothing of the table.
    static let listeningStatement = Statement(
        "events_listening",
        """
        SELECT id, version FROM scheduler.schedules
        WHERE schedule_type IN ('event', 'absence') AND state = 'active' ORDER BY id
        """, isReadOnly: true)

    /// The active schedules that listen, with their versions.
    package static func listening(on runner: some StatementRunner) async throws -> [ScheduleID: Int64] {
        var versions: [ScheduleID: Int64] = [:]
        for row in try await runner.query(listeningStatement, []) {
            versions[try row.scheduleID(0)] = try row.int64(1)
        }
        return versions
    }

    static let stateStatement = Statement(
        "events_state",
        """
        SELECT generation, last_sequence, stream_created, listen_from, allowed_at
        FROM scheduler.event_states WHERE schedule_id = $1
        """, types: [.uuid], isReadOnly: true)

    /// Nil before anything was heard.
    package static func state(of id: ScheduleID, on runner: some StatementRunner) async throws -> EventState? {
        guard let row = try await runner.query(stateStatement, [.id(id)]).first else { return nil }
        return EventState(
            generation: try row.int32(0), lastSequence: try row.int64(1), streamCreated: try row.text(2),
            listenFrom: try row.instant(3), allowedAt: try row.instantOrNil(4))
    }

    static let keepStatement = Statement(
        "events_keep",
        """
        INSERT INTO scheduler.event_states
            (schedule_id, generation, last_sequence, stream_created, listen_from, allowed_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (schedule_id) DO UPDATE SET generation = $2, last_sequence = $3, stream_created = $4,
            listen_from = greatest($5, CASE WHEN event_states.generation = $2 THEN event_states.listen_from END),
            allowed_at = $6
        """, types: [.uuid, .int32, .int64, .text, .timestamptz, .timestamptz])

    package static func keep(_ state: EventState, of id: ScheduleID) -> Call {
        keepStatement(
            .id(id), .int32(state.generation), .int64(state.lastSequence), .text(state.streamCreated),
            .instant(state.listenFrom), .instant(state.allowedAt))
    }

    static let passOverStatement = Statement(
        "events_pass_over",
        """
        INSERT INTO scheduler.event_states (schedule_id, generation, last_sequence, stream_created, listen_from)
        VALUES ($1, $2, 0, '', $3)
        ON CONFLICT (schedule_id) DO UPDATE SET listen_from = greatest(event_states.listen_from, $3)
        """, types: [.uuid, .int32, .timestamptz])

    /// What came into the schedule's stream before `instant` never fires. The caller holds the timer.
    package static func passOver(before instant: Instant, of timer: Timer) -> Call {
        passOverStatement(.id(timer.schedule), .int32(timer.generation), .instant(instant))
    }

    // MARK: Messages that wait

    /// Index `event_inbox_due`: a few entries for each schedule that is due.
    static let waitingStatement = Statement(
        "events_waiting",
        """
        SELECT i.schedule_id, i.id, i.scheduled_for, i.due_at, i.ordinal, i.generation, i.message
        FROM unnest($1::uuid[]) AS d (id) CROSS JOIN LATERAL (
            SELECT * FROM scheduler.event_inbox WHERE schedule_id = d.id ORDER BY due_at, id LIMIT $2) i
        """, types: [.uuidArray, .int64])

    /// What waits for each of these schedules, what is due first in front. The caller holds their timers.
    package static func waiting(
        for ids: [ScheduleID], limit: Int, in transaction: PostgresTransaction
    ) async throws -> [ScheduleID: [WaitingEvent]] {
        var waiting: [ScheduleID: [WaitingEvent]] = [:]
        for row in try await transaction.query(waitingStatement, [.ids(ids), .int64(Int64(limit))]) {
            waiting[try row.scheduleID(0), default: []].append(
                WaitingEvent(
                    row: try row.int64(1), scheduledFor: try row.instant(2), dueAt: try row.instant(3),
                    ordinal: try row.int64(4), generation: try row.int32(5), message: try row.jsonOrNil(6)))
        }
        return waiting
    }

    static let removeStatement = Statement(
        "events_remove", "DELETE FROM scheduler.event_inbox WHERE id = ANY ($1::bigint[])", types: [.int64Array])

    /// These wait no longer.
    package static func remove(_ rows: [Int64]) -> Call { removeStatement(PostgresValue.int64s(rows)) }

    static let setMessagesStatement = Statement(
        "executions_set_messages",
        """
        UPDATE scheduler.executions e SET payload = u.message::json
        FROM unnest($1::uuid[], $2::text[]) AS u (id, message) WHERE e.id = u.id
        """, types: [.uuidArray, .textArray])

    /// What the templates of these executions may show.
    package static func setMessages(_ messages: [(id: ExecutionID, message: [UInt8])]) -> Call {
        setMessagesStatement(
            .ids(messages.map(\.id)), .texts(messages) { String(decoding: $0.message, as: UTF8.self) })
    }

    static let addStatement = Statement(
        "events_add",
        """
        INSERT INTO scheduler.event_inbox
            (schedule_id, generation, execution_id, scheduled_for, due_at, ordinal, messages, message)
        SELECT $1, $2, u.execution_id, u.scheduled_for, u.due_at, u.ordinal, u.messages, u.message::json
        FROM unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::text[])
            AS u (execution_id, scheduled_for, due_at, ordinal, messages, message)
        ON CONFLICT (execution_id) DO NOTHING
        """, types: [.uuid, .int32])

    /// A message, as a row of the inbox.
    package struct Addition: Sendable {
        package let occurrence: Occurrence
        package let dueAt: Instant
        package let count: Int64
        package let message: [UInt8]?

        package init(occurrence: Occurrence, dueAt: Instant, count: Int64 = 1, message: [UInt8]?) {
            self.occurrence = occurrence
            self.dueAt = dueAt
            self.count = count
            self.message = message
        }
    }

    /// They wait from now on: all of one schedule, all of its timer's generation.
    package static func add(_ additions: [Addition], to timer: Timer) -> Call {
        addStatement(
            .id(timer.schedule), .int32(timer.generation), .uuids(additions, \.occurrence.executionID.uuid),
            .instants(additions, \.occurrence.scheduledFor), .instants(additions, \.dueAt),
            .int64s(additions, \.occurrence.ordinal), .int64s(additions, \.count),
            .texts(additions) { $0.message.map { String(decoding: $0, as: UTF8.self) } })
    }

    static let lookStatement = Statement(
        "events_look",
        """
        SELECT count(*), coalesce(sum(messages), 0)::bigint, min(due_at) FROM scheduler.event_inbox
        WHERE schedule_id = $1 AND generation = $2
        """, types: [.uuid, .int32])

    /// How many rows wait, how many messages they stand for, and when the first is due. The caller holds the timer.
    package static func look(
        at timer: Timer, in transaction: PostgresTransaction
    ) async throws -> (rows: Int64, messages: Int64, firstDue: Instant?) {
        guard
            let row = try await transaction.query(lookStatement, [.id(timer.schedule), .int32(timer.generation)]).first
        else { return (0, 0, nil) }
        return (try row.int64(0), try row.int64(1), try row.instantOrNil(2))
    }

    static let burstStatement = Statement(
        "events_burst",
        """
        SELECT id, due_at, messages FROM scheduler.event_inbox
        WHERE schedule_id = $1 AND generation = $2 ORDER BY due_at DESC, id DESC LIMIT 1
        """, types: [.uuid, .int32])

    /// The latest burst that waits. Index `event_inbox_due`, backwards; the caller holds the timer.
    /// - Returns: its row, when it is due, and how many messages it stands for.
    package static func burst(
        of timer: Timer, in transaction: PostgresTransaction
    ) async throws -> (row: Int64, dueAt: Instant, messages: Int64)? {
        let rows = try await transaction.query(burstStatement, [.id(timer.schedule), .int32(timer.generation)])
        return try rows.first.map { (try $0.int64(0), try $0.instant(1), try $0.int64(2)) }
    }

    static let clearStatement = Statement(
        "events_clear", "DELETE FROM scheduler.event_inbox WHERE schedule_id = $1", types: [.uuid])

    /// Nothing waits any longer: it is of a timing that is no more.
    package static func clear(_ id: ScheduleID) -> Call { clearStatement(.id(id)) }

    static let knownStatement = Statement(
        "events_known",
        """
        SELECT execution_id FROM scheduler.event_inbox WHERE execution_id = ANY ($1::uuid[])
        UNION ALL SELECT id FROM scheduler.executions WHERE id = ANY ($1::uuid[])
        """, types: [.uuidArray])

    /// Those of these that wait, or were fired, already. The caller holds the timer.
    package static func known(
        among ids: [ExecutionID], in transaction: PostgresTransaction
    ) async throws -> Set<ExecutionID> {
        Set(try await transaction.query(knownStatement, [.ids(ids)]).map { try $0.executionID(0) })
    }

    static let wakeStatement = Statement(
        "timers_wake",
        "UPDATE scheduler.timers SET next_fire_at = $2, resume_from = NULL, put_off = $3 WHERE schedule_id = $1",
        types: [.uuid, .timestamptz, .bool])

    /// Sets when the timer is looked at. The caller holds it, and it does not stand still.
    /// - Parameter isPutOff: no claim takes it ahead of its time.
    package static func wake(_ id: ScheduleID, at instant: Instant, isPutOff: Bool = false) -> Call {
        wakeStatement(.id(id), .instant(instant), .bool(isPutOff))
    }

    // MARK: Timers that are put off

    /// In the order of their ids, and without waiting for anybody: who holds one looks at it himself.
    static let lookAgainStatement = Statement(
        "timers_look_again",
        """
        WITH waiting AS (
            SELECT t.schedule_id FROM unnest($1::uuid[], $2::timestamptz[]) AS u (schedule_id, since)
                JOIN scheduler.timers t USING (schedule_id)
            WHERE t.put_off AND t.resume_from = u.since AND t.next_fire_at > $3
            ORDER BY t.schedule_id FOR UPDATE OF t SKIP LOCKED)
        UPDATE scheduler.timers t SET next_fire_at = $3 FROM waiting w WHERE t.schedule_id = w.schedule_id
        """, types: [.uuidArray, .timestamptzArray, .timestamptz])

    /// Claims look at these now, as far as they still stand where they stood when they were put off.
    package static func lookAgain(
        _ timers: [(id: ScheduleID, since: Instant)], at now: Instant, on runner: some StatementRunner
    ) async throws {
        let values: [PostgresValue] = [.uuids(timers, \.id.uuid), .instants(timers, \.since), .instant(now)]
        _ = try await runner.query(lookAgainStatement, values)
    }

    /// Counts as a claim does (`BufferTable.occupancies`), but without the timers' locks: the claim decides.
    static let lookForPlacesStatement = Statement(
        "timers_look_for_places",
        """
        WITH free AS (
            SELECT t.schedule_id FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
            WHERE t.schedule_id = ANY ($1::uuid[]) AND t.put_off AND t.resume_from IS NOT NULL AND t.next_fire_at > $2
                AND (s.completion = 'none' OR s.overlap_policy = 'allow' OR s.max_in_flight >
                    (SELECT count(*) FROM scheduler.runs r WHERE r.schedule_id = s.id AND r.tracked)
                    + (SELECT count(*) FROM scheduler.buffered b WHERE b.schedule_id = s.id))
                AND (SELECT count(*) FROM scheduler.buffered b WHERE b.schedule_id = s.id) < \(OverlapRule.mostBuffered)
            ORDER BY t.schedule_id FOR UPDATE OF t SKIP LOCKED)
        UPDATE scheduler.timers t SET next_fire_at = $2 FROM free f WHERE t.schedule_id = f.schedule_id
        RETURNING t.schedule_id
        """, types: [.uuidArray, .timestamptz])

    /// Claims look now at those of these that were put off for want of a place, and may have one.
    /// - Returns: those.
    package static func lookForPlaces(
        of ids: [ScheduleID], at now: Instant, on runner: some StatementRunner
    ) async throws -> [ScheduleID] {
        try await runner.query(lookForPlacesStatement, [.ids(ids), .instant(now)]).map { try $0.scheduleID(0) }
    }

    // MARK: Absences

    static let postponeStatement = Statement(
        "timers_postpone",
        """
        UPDATE scheduler.timers SET next_fire_at = $3, resume_from = NULL, put_off = false
        WHERE schedule_id = $1 AND generation = $2 AND next_fire_at IS NOT NULL
            AND (coalesce(resume_from, next_fire_at) < $3 OR next_fire_at = $4)
        """, types: [.uuid, .int32, .timestamptz, .timestamptz])

    /// A message came: the schedule's deadline is later now. Of two instances that heard one each the later one counts,
    /// in whatever order they write; one that stands still stays so.
    package static func postpone(_ id: ScheduleID, generation: Int32, to deadline: Instant) -> Call {
        postponeStatement(.id(id), .int32(generation), .instant(deadline), .instant(.untilMessage))
    }

    // MARK: Upkeep

    /// Both tables are as small as what listens.
    static let sweepStatement = Statement(
        "events_sweep",
        """
        WITH gone AS (
            DELETE FROM scheduler.event_inbox i WHERE NOT EXISTS (
                SELECT 1 FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
                WHERE t.schedule_id = i.schedule_id AND t.generation = i.generation
                    AND s.state NOT IN ('deleted', 'exhausted')))
        DELETE FROM scheduler.event_states e WHERE NOT EXISTS (
            SELECT 1 FROM scheduler.schedules s WHERE s.id = e.schedule_id AND s.state <> 'deleted')
        """)

    /// Forgets what schedules have left that are over, were edited, or are gone.
    package static func sweep(on runner: some StatementRunner) async throws {
        _ = try await runner.query(sweepStatement, [])
    }

    static let standsStatement = Statement(
        "events_stands",
        "SELECT 1 FROM scheduler.schedules WHERE id = $1 AND generation = $2 AND state NOT IN ('deleted', 'exhausted')",
        types: [.uuid, .int32], isReadOnly: true)

    /// Whether a schedule may listen again with this timing: it is neither over nor another one by now.
    package static func stands(
        _ id: ScheduleID, generation: Int32, on runner: some StatementRunner
    ) async throws -> Bool {
        try await runner.query(standsStatement, [.id(id), .int32(generation)]).first != nil
    }
}
