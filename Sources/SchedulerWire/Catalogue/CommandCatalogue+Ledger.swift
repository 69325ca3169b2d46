extension CommandCatalogue {
    static let ledger = [
        CommandPage(
            "schedule.backfill", changes: true,
            "Fires the schedule's own occurrences of a stretch of time that has passed.",
            examples: [#"{"name":"hello","from":"YESTERDAY","limit":10,"reason":"a consumer lost them"}"#]),
        CommandPage(
            "schedule.explain", "Tells why a schedule fired at a moment, did not, or did twice.",
            examples: [#"{"name":"hello","at":"YESTERDAY"}"#]),
        CommandPage(
            "schedule.stats", "Counts a schedule's executions by outcome, with their lateness; step by step too.",
            examples: [
                #"{"name":"hello","window_seconds":3600}"#,
                #"{"name":"hello","window_seconds":3600,"step_seconds":60}"#,
            ]),
        CommandPage(
            "schedule.timeline", "Shows what a schedule has fired and will fire, in one row around now.",
            examples: [#"{"name":"hello","past":10,"coming":10}"#]),
        CommandPage(
            "schedule.forecast", "Counts the namespace's fires to come, minute by minute, a page of schedules at once.",
            examples: ["", #"{"window_seconds":3600,"step_seconds":60,"limit":100}"#]),
        CommandPage(
            "execution.stats", "Counts the namespace's executions, those of one target, or of one schedule.",
            examples: ["", #"{"target_command":"demo.hello","window_seconds":3600}"#]),
        CommandPage(
            "execution.cancel", changes: true, "Gives up an execution, or asks the worker that has it to stop.",
            examples: [#"{"id":"EXECUTION_ID","reason":"not today"}"#]),
        CommandPage(
            "execution.retry", changes: true, "Makes a new execution of one that is dead, skipped or cancelled.",
            examples: [#"{"id":"EXECUTION_ID"}"#]),
        CommandPage(
            "audit.list", "Lists who changed what in the namespace, when and why, newest first.",
            examples: [#"{"limit":5}"#, #"{"schedule_name":"hello","from":"YESTERDAY","full":true}"#]),
        CommandPage(
            "admin.audit.list", "Lists the audit log of a namespace, of _system, or of all, newest first.",
            examples: [#"{"limit":5}"#, #"{"namespace":"_system","from":"YESTERDAY"}"#]),
        CommandPage(
            "admin.system.forecast", "Counts the fires to come of a namespace, or of all, minute by minute.",
            examples: ["", #"{"namespace":"demo","window_seconds":3600}"#]),
        CommandPage(
            "admin.system.members", "Lists the instances, with their leases and their shares.", examples: [""]),
        CommandPage(
            "admin.system.verify",
            "Checks that the audit's chain of hashes is whole, or that every occurrence ended in exactly one place.",
            examples: ["", #"{"limit":100}"#, #"{"check":"ledger","namespace":"demo","from":"YESTERDAY"}"#]),
        CommandPage(
            "admin.system.drain", changes: true, "Lets an instance leave in good order.",
            examples: [#"{"instance":"dev","dry_run":true}"#]),
    ]
}
