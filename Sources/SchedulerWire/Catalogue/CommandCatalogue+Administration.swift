extension CommandCatalogue {
    static let administration = [
        CommandPage(
            "admin.system.status", "Tells who is a member, what waits, and whether the service is ready.",
            examples: [""]),
        CommandPage(
            "admin.freeze.set", changes: true,
            "Holds fires of a namespace, of a target or of all until an instant; replaces the freeze of the same id.",
            examples: [
                """
                {"id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51","namespace":"demo","target":"demo.report.>",\
                "until":"TOMORROW","reason":"release day"}
                """
            ]),
        CommandPage(
            "admin.data.export", "Reads the store as records, a page at a time, for backup; carillon export asks it.",
            examples: [#"{"limit":100}"#]),
        CommandPage(
            "admin.data.import", changes: true,
            "Puts records of an export back; what is there and says something else is a conflict.",
            examples: [
                #"{"records":[{"kind":"namespace","namespace":"demo","max_schedules":500}],"dry_run":true}"#
            ]),
        CommandPage(
            "admin.dlq.list", "Lists executions that gave up, oldest first, as the stream of dead letters holds them.",
            examples: ["", #"{"namespace":"demo","limit":10}"#]),
        CommandPage(
            "admin.dlq.redrive", changes: true,
            "Makes a new execution of one that gave up, once, and takes its letter out of the stream.",
            examples: [#"{"id":"EXECUTION_ID","reason":"the target is well again"}"#]),
        CommandPage("admin.freeze.list", "Lists the freezes that hold or lie ahead.", examples: [""]),
        CommandPage(
            "admin.freeze.clear", changes: true, "Ends a freeze; what it held is released at its rate.",
            examples: [#"{"id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"}"#]),
    ]
}
