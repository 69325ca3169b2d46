extension CommandCatalogue {
    static let rules = [
        CommandPage(
            "admin.target.allow", changes: true, "Allows a namespace, or all, to schedule a subject.",
            examples: [#"{"namespace":"demo","subject":"orders.>","delivery":["jetstream","core"]}"#]),
        CommandPage(
            "admin.target.list", "Lists the whole allow-list, and where each entry comes from.", examples: [""]),
        CommandPage(
            "admin.target.revoke", changes: true,
            "Takes back what admin.target.allow allowed; schedules that lose their target become invalid.",
            examples: [#"{"namespace":"demo","subject":"orders.>"}"#]),
        CommandPage(
            "admin.namespace.limits", changes: true,
            "Sets a namespace's limits; what is absent stays, null is the default.",
            examples: [
                #"{"namespace":"demo","commands_per_second":1000,"max_schedules":500}"#,
                #"{"namespace":"demo","commands_per_second":null,"max_schedules":null}"#,
                #"{"namespace":"demo","concurrency":{"database":2}}"#,
            ]),
        CommandPage(
            "admin.namespace.list", "Lists namespaces with their limits and how many schedules they have.",
            examples: [#"{"limit":10}"#]),
    ]
}
