/// Where spans go: OTLP over HTTP, to a collector beside the service.
package struct CollectorEndpoint: Hashable, Sendable {
    package let host: String
    package let port: Int
    /// With its query, from the first slash on.
    package let path: String

    /// What is wrong with a text, without a word of it.
    package struct Problem: Error, Hashable {
        package let expected: String
    }

    /// - Parameters:
    ///   - text: `http://host[:port][/path]`; port 80 where it says none.
    ///   - suffix: what the path of a common endpoint lacks, as `v1/traces`; nil takes the text as it stands.
    package init(_ text: String, suffix: String? = nil) throws(Problem) {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem(expected: "a URL without blanks")
        }
        let scheme = "http://"
        guard text.lowercased().hasPrefix(scheme) else {
            throw Problem(expected: "an http:// URL: a collector beside the service takes what is for others")
        }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else {
            throw Problem(expected: "no user in the URL: headers may carry what the collector asks for")
        }
        (host, port) = try Self.place(authority)
        let tail = rest.dropFirst(authority.count)
        guard !tail.contains("#") else { throw Problem(expected: "a URL without a fragment") }
        guard let suffix else {
            path = tail.hasPrefix("/") ? String(tail) : "/" + tail
            return
        }
        guard !tail.contains("?") else { throw Problem(expected: "a URL without a query") }
        path = (tail.hasSuffix("/") ? String(tail) : tail + "/") + suffix
    }

    /// An IPv6 address stands in brackets; its colons begin no port.
    private static func place(_ authority: Substring) throws(Problem) -> (String, Int) {
        let end = authority.lastIndex(of: "]").map { authority.index(after: $0) } ?? authority.startIndex
        let colon = authority[end...].firstIndex(of: ":")
        let digits = colon.map { authority[authority.index(after: $0)...] }
        guard let port = digits.map({ Int($0) }) ?? 80, (1...65535).contains(port) else {
            throw Problem(expected: "a port from 1 to 65535")
        }
        var host = authority[..<(colon ?? authority.endIndex)]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains("[") else { throw Problem(expected: "a host, http://host:4318") }
        return (String(host), port)
    }

    /// As the `Host` header has it, and logs.
    package var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

/// What is sent along with each request: `name=value` pairs apart by commas, values percent-encoded, as OpenTelemetry's
/// variables have them.
package enum CollectorHeaders {
    /// Ours to say.
    private static let taken: Set<String> = [
        "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent",
    ]

    /// Throws what was expected, without a word of the text, which may be secret.
    package static func read(_ text: String) throws(CollectorEndpoint.Problem) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw .init(expected: "name=value pairs apart by commas") }
            let name = trimmed(parts[0]).lowercased()
            guard !name.isEmpty, name.utf8.allSatisfy(isToken) else {
                throw .init(expected: "names of HTTP headers before each =")
            }
            guard !taken.contains(name) else { throw .init(expected: "no header that each request has anyway") }
            guard let value = decoded(trimmed(parts[1])),
                value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 })
            else { throw .init(expected: "percent-encoded values without control characters") }
            headers.append((name, value))
        }
        return headers
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(code)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
