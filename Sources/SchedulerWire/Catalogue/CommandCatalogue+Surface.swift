extension CommandCatalogue {
    static let surface = [
        CommandPage(
            "schedule.put", changes: true,
            "Makes what a definition says true: creates or replaces by name; said twice, it changes nothing.",
            examples: [
                """
                {"name":"hourly","schedule_type":"cron","cron_expression":"@hourly","target_command":"demo.hourly",\
                "delivery":"core"}
                """
            ]),
        CommandPage(
            "schedule.validate", "Checks a definition, or several, as schedule.create does; stores nothing.",
            examples: [
                """
                {"name":"nightly","schedule_type":"cron","cron_expression":"0 3 * * *","target_command":"demo.nightly",\
                "delivery":"core"}
                """
            ]),
        CommandPage(
            "schedule.bulk_create", changes: true, "Makes up to 1000 schedules, with a result for each.",
            examples: [
                """
                {"schedules":[{"name":"a","schedule_type":"interval","interval_seconds":60,"target_command":"demo.a",\
                "delivery":"core"},{"name":"b","schedule_type":"interval","interval_seconds":60,\
                "target_command":"demo.b","delivery":"core"}],"atomic":true}
                """
            ]),
        CommandPage(
            "schedule.bulk", changes: true, "Pauses, resumes, deletes or triggers many, with a receipt for each.",
            examples: [
                #"{"names":["a","b"],"operation":"pause","reason":"a look"}"#,
                #"{"filter":{"state":"paused","name_prefix":"a"},"operation":"delete","dry_run":true}"#,
            ]),
    ]
}
