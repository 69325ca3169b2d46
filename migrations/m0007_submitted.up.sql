-- Submitted commands: how far their stream is applied.

CREATE TABLE scheduler.command_cursors (
    sequence       bigint      NOT NULL,
    tried_sequence bigint,
    moved_at       timestamptz,
    tries          integer     NOT NULL DEFAULT 0,
    stream         text        NOT NULL PRIMARY KEY,
    stream_created text        NOT NULL,
    CONSTRAINT command_cursors_sequence CHECK (sequence >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE scheduler.command_cursors IS 'How far the stream of submitted commands is applied. It moves in the transactions that apply them, so each is applied once.';
COMMENT ON COLUMN scheduler.command_cursors.stream_created IS 'The stream''s own creation time: one that was made anew counts from 1 again, and so does its cursor.';
COMMENT ON COLUMN scheduler.command_cursors.sequence IS 'The last message that is applied or rejected, with all before it.';
COMMENT ON COLUMN scheduler.command_cursors.tried_sequence IS 'The message at which the holders began; it may be what ended the one before.';
COMMENT ON COLUMN scheduler.command_cursors.tries IS 'How many processes began at tried_sequence.';

-- Raises CR007, and so undoes what the transaction does, if the caller is not the role's holder any more: a later
-- holder's epoch waits for this transaction. Raises CR008 if the message is applied.
CREATE FUNCTION scheduler.hold_commands(the_stream text, created text, message bigint, the_role text, held bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    applied bigint;
BEGIN
    PERFORM 1 FROM scheduler.locks WHERE name = the_role AND epoch = held FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the role % has another holder than that of epoch %', the_role, held USING ERRCODE = 'CR007';
    END IF;
    SELECT sequence INTO applied FROM scheduler.command_cursors WHERE stream = the_stream AND stream_created = created;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the cursor of % is that of another stream than was made at %', the_stream, created
            USING ERRCODE = 'CR007';
    END IF;
    IF applied >= message THEN
        RAISE EXCEPTION 'message % of % is applied', message, the_stream USING ERRCODE = 'CR008';
    END IF;
END $$;

-- The same, and moves the cursor over the message.
CREATE FUNCTION scheduler.advance_commands(the_stream text, created text, message bigint, the_role text, held bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM scheduler.hold_commands(the_stream, created, message, the_role, held);
    UPDATE scheduler.command_cursors SET sequence = message, moved_at = clock_timestamp()
    WHERE stream = the_stream AND stream_created = created AND sequence < message;
    -- The same message's own transaction, whose answer was lost, was quicker.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'message % of % is applied', message, the_stream USING ERRCODE = 'CR008';
    END IF;
END $$;
