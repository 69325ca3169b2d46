DROP TABLE scheduler.arrivals;
DROP TABLE scheduler.ended_upstreams;
DROP TABLE scheduler.links;
ALTER TABLE scheduler.executions DROP COLUMN caused_by;
ALTER TABLE scheduler.schedules DROP COLUMN after;
