import HTTPTypes
import HummingbirdCore
import JSONText
import NIOCore
import SchedulerWire

/// One reply, whole.
struct HTTPReply: Sendable {
    var status: Int
    var body: [UInt8]
    var headers: HTTPFields
    /// The rest of the request is not read: the connection ends with the reply.
    var closes = false

    /// - Parameter type: nil: JSON, where there is a body.
    init(_ status: Int, _ body: [UInt8] = [], type: String? = nil) {
        self.status = status
        self.body = body
        headers = [:]
        headers[.contentType] = type ?? (body.isEmpty ? nil : "application/json")
    }

    /// A failure in the contract's shape (contract.md §2), with the status of its code.
    init(_ failure: WireError, of page: CommandPage? = nil) {
        var writer = JSONWriter(capacity: 512)
        Envelope(noun: page?.noun ?? "unknown", verb: page?.verb ?? "command").failure(failure, into: &writer)
        self.init(failure.code.httpStatus, writer.bytes)
        add(failure)
    }

    /// What headers say of a failure besides.
    mutating func add(_ failure: WireError) {
        if failure.code == .unauthenticated { headers[.wwwAuthenticate] = #"Bearer realm="carillon""# }
        if let seconds = failure.retryAfterSeconds {
            headers[.retryAfter] = "\(max(1, Int(seconds.rounded(.up))))"
        } else if status == 429 || status == 503 {
            headers[.retryAfter] = "1"
        }
    }

    var head: HTTPResponse {
        var fields = headers
        if status != 204 { fields[.contentLength] = "\(body.count)" }
        fields[.cacheControl] = "no-store"
        fields[.xContentTypeOptions] = "nosniff"
        if closes { fields[.connection] = "close" }
        return HTTPResponse(status: .init(code: status), headerFields: fields)
    }
}
