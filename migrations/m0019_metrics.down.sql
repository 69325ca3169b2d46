DROP INDEX scheduler.schedules_kinds;
