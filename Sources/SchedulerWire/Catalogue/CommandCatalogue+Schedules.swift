extension CommandCatalogue {
    static let schedules = [
        CommandPage(
            "schedule.create", changes: true, "Makes a schedule; replies with it and its next five fires.",
            examples: [
                """
                {"name":"report","schedule_type":"cron","cron_expression":"0 9 * * MON-FRI","timezone":"Europe/Paris",\
                "target_command":"demo.report","delivery":"core","command_payload":{"kind":"daily"}}
                """,
                """
                {"name":"tick","schedule_type":"interval","interval_seconds":1,"target_command":"demo.tick",\
                "delivery":"core"}
                """,
                """
                {"name":"remind","schedule_type":"once","run_at":"TOMORROW","target_command":"demo.remind",\
                "delivery":"core"}
                """,
            ]),
        CommandPage(
            "schedule.get", "Shows one schedule.", examples: [#"{"name":"hello"}"#]),
        CommandPage(
            "schedule.list", "Lists schedules, filtered, page by page.",
            examples: ["", #"{"state":["active","paused"],"name_prefix":"he","sort":"-next_fire_at","limit":10}"#]),
        CommandPage(
            "schedule.update", changes: true,
            "Changes a schedule by a JSON merge patch: what is absent stays, null brings a default back.",
            examples: [#"{"name":"hello","interval_seconds":5,"command_payload":{"message":"good morning"}}"#]),
        CommandPage(
            "schedule.pause", changes: true, "Stops a schedule; from the reply on nothing of it fires.",
            examples: [#"{"name":"hello","reason":"holidays","until":"TOMORROW"}"#]),
        CommandPage(
            "schedule.resume", changes: true, "Lets a paused schedule go on; with catch_up what passed is made up.",
            examples: [#"{"name":"hello"}"#]),
        CommandPage(
            "schedule.trigger", changes: true,
            "Fires now, beside the schedule's own times; replies with the execution.",
            examples: [#"{"name":"hello"}"#, #"{"name":"hello","payload":{"message":"once more"},"reason":"a look"}"#]),
        CommandPage(
            "schedule.preview", "Tells when a schedule, or a definition that is none yet, would fire.",
            examples: [
                #"{"name":"hello","count":3}"#,
                """
                {"schedule_type":"cron","cron_expression":"30 2 * * *","timezone":"Europe/Paris",\
                "target_command":"demo.x","delivery":"core","from":"2026-03-28T00:00:00Z","count":2}
                """,
            ]),
        CommandPage(
            "schedule.delete", changes: true, "Deletes a schedule; its executions are kept as long as all history is.",
            examples: [#"{"name":"report"}"#]),
    ]

    static let calendars = [
        CommandPage(
            "calendar.put", changes: true, "Makes a business calendar, or replaces it whole.",
            examples: [
                """
                {"name":"de","working_days":["MON-FRI"],"holidays":["2026-12-25",\
                {"from":"2026-12-28","to":"2026-12-31","name":"closed"}]}
                """
            ]),
        CommandPage("calendar.get", "Shows one calendar.", examples: [#"{"name":"de"}"#]),
        CommandPage("calendar.list", "Lists the namespace's calendars.", examples: [""]),
        CommandPage(
            "calendar.delete", changes: true, "Deletes a calendar that no schedule uses.",
            examples: [#"{"name":"de"}"#]),
    ]

    static let executions = [
        CommandPage(
            "execution.list", "Lists executions, newest first, page by page.",
            examples: [#"{"schedule_name":"hello","limit":1}"#, #"{"status":"delivered","limit":10}"#]),
        CommandPage(
            "execution.get", "Shows one execution; execution.list and every event name its id.",
            examples: [#"{"id":"EXECUTION_ID"}"#]),
    ]

    static let targets = [
        CommandPage("target.list", "Lists the subjects that the namespace may schedule.", examples: [""])
    ]
}
