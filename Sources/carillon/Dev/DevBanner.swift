/// What `carillon dev` says first: where things are, and what to paste.
struct DevBanner {
    let version: String
    let natsURL: String
    let postgresURL: String
    /// Nil where it is off.
    var httpURL: String?
    let folder: String
    let isTemporary: Bool
    let prefix: String

    var text: String {
        let nats = "nats -s \(natsURL)"
        let commands = "\(prefix).cmd.demo.schedule"
        let keeps = isTemporary ? "deleted at the end; --data-dir FOLDER keeps it" : "kept"
        let curl = httpURL.map { "\n  curl -H 'Scheduler-Namespace: demo' \($0)/api/v1/schedules" } ?? ""
        return """

            Carillon \(version), development mode: private servers, open to this machine only. Not for production.

              NATS        \(natsURL)
              PostgreSQL  \(postgresURL)
              data        \(folder) (\(keeps))
              targets     demo.> for every namespace
              HTTP        \(httpURL ?? "off")

            Paste into another terminal (nats is the command line of NATS, https://github.com/nats-io/natscli):

              \(nats) sub 'demo.>'
              \(nats) sub '\(prefix).evt.>'
              \(nats) req \(commands).create '{"name":"tick","schedule_type":"cron","cron_expression":"*/5 * * * * *","target_command":"demo.tick","delivery":"core"}'
              \(nats) req \(commands).list ''
              \(nats) req \(commands).pause '{"name":"hello"}'
              \(nats) pub \(prefix).submit.demo.schedule.trigger '{"name":"hello"}'   (kept if no scheduler runs)
              \(nats) req \(prefix).admin.system.status ''
              \(nats) req \(prefix).help ''\(curl)

            Without it: NATS_URL=\(natsURL) examples/shell/request.sh \(commands).list

            Below: what is fired on demo.>, and the events. Times are UTC. Ctrl-C ends everything.

            """
    }
}
