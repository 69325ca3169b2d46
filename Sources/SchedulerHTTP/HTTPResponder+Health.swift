import HummingbirdCore
import JSONText

extension HTTPResponder {
    /// `/ready`: a member, in sight and not behind; why not, else. Asks nobody.
    func readiness() -> HTTPReply { status("ready", "not_ready") }

    /// `/health`: the same with who says so.
    func health() -> HTTPReply {
        status("ok", "unavailable") { [settings] writer in
            writer.member("version", settings.version)
            writer.member("instance_name", settings.instance)
        }
    }

    /// `/health/detailed`: 200 where the instance is ready and nothing is wrong, else 503.
    func health(_ request: Request) async -> HTTPReply {
        let (body, isWell) = await backend.health()
        return HTTPReply(isWell ? 200 : 503, body)
    }

    private func status(
        _ well: String, _ unwell: String, _ more: (inout JSONWriter) -> Void = { _ in }
    ) -> HTTPReply {
        let faults = backend.faults()
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("status", faults.isEmpty ? well : unwell)
            more(&writer)
            writer.name("reasons")
            writer.array { writer in for fault in faults { writer.value(fault) } }
        }
        return HTTPReply(faults.isEmpty ? 200 : 503, writer.bytes)
    }
}
