-- Takes back m0007_submitted. What waits in the stream stays there. A stream that goes on existing is applied from its
-- first message again once the table is back: what was acknowledged has left it, so that is from where it stood.
DROP FUNCTION scheduler.advance_commands(text, text, bigint, text, bigint);
DROP FUNCTION scheduler.hold_commands(text, text, bigint, text, bigint);
DROP TABLE scheduler.command_cursors;
