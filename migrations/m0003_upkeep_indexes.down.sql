DROP INDEX scheduler.claims_instance, scheduler.claims_oldest, scheduler.schedules_invalid;
