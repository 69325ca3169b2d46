import JSONText
import SchedulerCore
import Testing

@testable import ScheduleFiles

@Suite struct KubernetesTests {
    private static let full = """
        apiVersion: batch/v1
        kind: CronJob
        metadata:
          name: report
          namespace: billing
          labels: {app: report, app.kubernetes.io/part-of: billing}
        spec:
          schedule: "5/15 2 * * *"
          timeZone: Europe/Paris
          suspend: true
          concurrencyPolicy: Forbid
          startingDeadlineSeconds: 120
          jobTemplate:
            spec: {template: {spec: {containers: [{name: c, image: "busybox:1", args: ["-c", "date"]}]}}}
        """

    private static func converted(_ text: String, prefix: String = "") -> Conversion {
        var conversion = KubernetesCronJobs.read(
            text, file: "k8s.yaml", ConversionOptions(target: "jobs.run", prefix: prefix))
        conversion.check(DefinitionFileTests.check, file: "k8s.yaml")
        return conversion
    }

    @Test func aCronJobBecomesASchedule() throws {
        let conversion = Self.converted(Self.full, prefix: "k8s-")
        #expect(conversion.problems == [])
        let schedule = try #require(conversion.schedules.first)
        #expect(schedule.name == "k8s-report" && schedule.namespace == "billing")
        let fields = Dictionary(
            uniqueKeysWithValues: schedule.fields.map { ($0.name, String(decoding: $0.value.bytes, as: UTF8.self)) })
        #expect(
            fields == [
                "schedule_type": "\"cron\"", "cron_expression": "\"5-59/15 2 * * *\"", "timezone": "\"Europe/Paris\"",
                "dst_policy": "\"literal\"", "overlap_policy": "\"skip\"", "misfire_policy": "\"skip\"",
                "misfire_grace_seconds": "120", "target_command": "\"jobs.run\"", "paused": "true",
                "tags": #"["app:report","app.kubernetes.io.part-of:billing"]"#,
                "command_payload":
                    #"{"cronjob":"report","namespace":"billing","job_template":{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"busybox:1","args":["-c","date"]}]}}}}}"#,
            ])
        #expect(conversion.notes.contains { $0.hasPrefix("overlap_policy counts only") })
        #expect(schedule.notes.contains { $0.contains("written as '5-59/15 2 * * *'") })
    }

    @Test func listsAndOtherKinds() {
        let list = """
            {"kind":"List","apiVersion":"v1","items":[
            {"kind":"CronJob","metadata":{"name":"a"},"spec":{"schedule":"@hourly"}},
            {"kind":"Secret","metadata":{"name":"s"}},
            {"kind":"CronJob","metadata":{"name":"b"},"spec":{"schedule":"CRON_TZ=Asia/Tokyo 0 9 * * 1-5"}}]}
            """
        let conversion = Self.converted(list)
        #expect(conversion.problems == [])
        #expect(conversion.schedules.map(\.name) == ["a", "b"] && conversion.schedules.map(\.line) == [2, 4])
        #expect(conversion.schedules.map { $0["timezone"]?.string } == [nil, "Asia/Tokyo"])
        #expect(conversion.schedules.map { $0["cron_expression"]?.string } == ["@hourly", "0 9 * * 1-5"])
        #expect(conversion.notes.contains("Secret 's' is left out: it is no CronJob."))
        #expect(conversion.notes.contains { $0.hasPrefix("Without timeZone") })
    }

    @Test(arguments: [
        ("kind: CronJob\nspec: {schedule: '@daily'}", "k8s.yaml:1: document 1, /metadata/name: is required"),
        (
            "kind: CronJob\nmetadata: {name: a}\nspec: {}",
            "k8s.yaml:3: document 1, schedule 'a', /spec/schedule: is required"
        ),
        (
            "kind: CronJob\nmetadata: {name: a}\nspec: {schedule: 99 * * * *}",
            "k8s.yaml:1: schedule 'a', /cron_expression: "
        ),
        ("a: 1", "k8s.yaml:1: document 1, /kind: is required"),
        ("- 1", "k8s.yaml:1: document 1: expected a Kubernetes object"),
        ("kind: [", "k8s.yaml:2: document 1: expected YAML or JSON"),
    ]) func aFaultHasItsPlace(text: String, problem: String) {
        let conversion = Self.converted(text)
        #expect(conversion.schedules.isEmpty)
        #expect(conversion.problems.contains { $0.description.hasPrefix(problem) }, "\(conversion.problems)")
    }
}
