/// The syntax of `NATS_URL`: servers apart by commas, `nats://` or `tls://`, perhaps `user:password@` or `token@`.
enum ServerList {
    /// What is wrong; nil where nothing is. Never shows what stands before an `@`.
    static func problem(in text: String) -> String? {
        for url in text.split(separator: ",", omittingEmptySubsequences: false) {
            if let problem = problem(inServer: url) { return problem }
        }
        return nil
    }

    private static func problem(inServer url: Substring) -> String? {
        var rest = url
        if let scheme = schemeEnd(in: url) {
            let name = url[..<scheme.lowerBound]
            guard name == "nats" || name == "tls" else { return "expected nats:// or tls://, got '\(name)://'" }
            rest = url[scheme.upperBound...]
        }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return "expected no blanks, got '\(rest)'" }
        var host = rest
        // An IPv6 address stands in brackets; its colons begin no port.
        let portSearch = rest.lastIndex(of: "]").map { rest[$0...] } ?? rest
        if let colon = portSearch.lastIndex(of: ":") {
            let port = rest[rest.index(after: colon)...]
            guard let number = UInt16(port), number > 0 else { return "expected a port from 1 to 65535, got '\(port)'" }
            host = rest[..<colon]
        }
        guard !host.isEmpty, !host.contains("/") else { return "expected nats://host:port, got the host '\(host)'" }
        return nil
    }

    /// Where `://` stands.
    private static func schemeEnd(in url: Substring) -> Range<Substring.Index>? {
        var start = url.startIndex
        while start < url.endIndex {
            if url[start...].hasPrefix("://") { return start..<url.index(start, offsetBy: 3) }
            start = url.index(after: start)
        }
        return nil
    }
}
