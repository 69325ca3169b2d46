import Glibc

/// One GET to this machine's own HTTP, with nothing but a socket: a health check is started every few seconds, and must be
/// there and gone.
enum LocalRequest {
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    struct Answer: Sendable, Equatable {
        let status: Int
        let body: String
    }

    /// Where something is reached that listens on `host`: on all addresses means this machine's own too.
    static func reachable(_ host: String) -> String {
        switch host {
        case "0.0.0.0", "": "127.0.0.1"
        case "::": "::1"
        default: host
        }
    }

    /// Blocks until it is answered, for `limit` at most: for a process that does nothing else meanwhile.
    static func get(_ path: String, host: String, port: Int, within limit: Duration) throws(Fault) -> Answer {
        let deadline = ContinuousClock.now + limit
        let socket = try connected(host, port, deadline)
        defer { close(socket) }
        let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\r\n".utf8)
        try wait(socket, for: Int16(POLLOUT), deadline)
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw lastFault("asking \(authority)")
        }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while reply.count < 1 << 20 {
            try wait(socket, for: Int16(POLLIN), deadline)
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0 { throw lastFault("reading the answer of \(authority)") }
            if count == 0 { break }
            reply += buffer[..<count]
        }
        guard let answer = answer(in: String(decoding: reply, as: UTF8.self)) else {
            throw Fault(description: "expected HTTP from \(authority), got something else")
        }
        return answer
    }

    /// Nil where it is no HTTP.
    static func answer(in text: String) -> Answer? {
        let words = text.prefix { $0 != "\r\n" && $0 != "\n" }.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        let end = text.firstRange(of: "\r\n\r\n")
        return Answer(status: status, body: end.map { String(text[$0.upperBound...]) } ?? "")
    }

    private static func connected(
        _ host: String, _ port: Int, _ deadline: ContinuousClock.Instant
    ) throws(Fault) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, "\(port)", &hints, &list)
        guard failure == 0, let first = list else {
            throw Fault(description: "the host \(host) is not known: \(String(cString: gai_strerror(failure)))")
        }
        defer { freeaddrinfo(first) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let handle = socket(first.pointee.ai_family, type, 0)
        guard handle >= 0 else { throw lastFault("opening a socket") }
        do throws(Fault) {
            if connect(handle, first.pointee.ai_addr, first.pointee.ai_addrlen) != 0 {
                guard errno == EINPROGRESS else { throw lastFault("reaching \(host):\(port)") }
                try wait(handle, for: Int16(POLLOUT), deadline)
                var code: Int32 = 0
                var size = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(handle, SOL_SOCKET, SO_ERROR, &code, &size)
                guard code == 0 else {
                    throw Fault(description: "reaching \(host):\(port): \(String(cString: strerror(code)))")
                }
            }
            return handle
        } catch {
            close(handle)
            throw error
        }
    }

    private static func wait(
        _ socket: Int32, for events: Int16, _ deadline: ContinuousClock.Instant
    ) throws(Fault) {
        let left = (deadline - .now) / .milliseconds(1)
        var entry = pollfd(fd: socket, events: events, revents: 0)
        guard left > 0, poll(&entry, 1, Int32(min(left, 60_000)) + 1) > 0 else {
            throw Fault(description: "no answer within the time limit")
        }
    }

    private static func lastFault(_ what: String) -> Fault {
        Fault(description: "\(what): \(String(cString: strerror(errno)))")
    }
}
