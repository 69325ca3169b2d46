/// How to reach NATS. Values only: nothing is opened or read before ``NATSConnection/connect(_:within:)``.
package struct NATSConfiguration: Sendable, CustomStringConvertible {
    package enum Authentication: Sendable {
        case none
        case user(String, password: String)
        case token(String)
        /// The path of a `.creds` file (JWT and NKey seed).
        case credentials(file: String)
        case nkey(NKeySeed)
        /// The path of a file with an NKey's seed; read for each link.
        case nkeyFile(String)
    }

    package struct TLS: Sendable {
        /// Paths of PEM files.
        package var authorities: String?
        package var certificate: String?
        package var key: String?
        /// The name the server's certificate must carry; nil: the URL's host, a name or an address.
        package var expectedHostName: String?

        package init(
            authorities: String? = nil, certificate: String? = nil, key: String? = nil, expectedHostName: String? = nil
        ) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
            self.expectedHostName = expectedHostName
        }
    }

    /// URLs, tried in order: `nats://host:port`, `tls://…`, with `user:password@` or `token@` if need be.
    package var servers: [String]
    /// What the server's monitoring shows for this connection.
    package var name: String
    package var authentication: Authentication = .none
    /// nil: plain TCP, unless a URL begins with `tls://`.
    package var tls: TLS?
    /// The first tokens of every inbox. Give no other user permission to publish below it: whoever can, can forge
    /// acknowledgements.
    package var inboxPrefix = "_INBOX"
    /// true: each publish is its own `send`, at once; no flusher thread. false: publishes gather for at most 1 ms.
    package var sendAsap = false
    /// Bytes libnats gathers before it writes, and reads at once.
    package var ioBufferBytes = 256 * 1024
    /// Bytes of publishes kept while disconnected, to be sent after the reconnect. 0: such publishes fail at once,
    /// which is what anything with a due time wants.
    package var reconnectBufferBytes = 0
    /// For one server, TCP, TLS and handshake together.
    package var connectTimeout: Duration = .seconds(2)
    /// The pause between two rounds over the servers; up to 10 % is added at random.
    package var reconnectWait: Duration = .milliseconds(250)
    /// A `send` that is not taken in this time breaks the connection: the bound on how long any call here blocks.
    package var writeDeadline: Duration = .seconds(2)
    /// A dead server is noticed after `pingInterval × (maximumPingsOut + 1)`, or at the first write that blocks.
    package var pingInterval: Duration = .seconds(4)
    package var maximumPingsOut = 2
    /// Sees each request that was answered, with its answer, before the requester does: for recordings.
    package var onAnswer: (@Sendable (_ subject: Subject, _ payload: [UInt8], _ answer: NATSMessage) -> Void)?

    package init(servers: [String], name: String) {
        self.servers = servers
        self.name = name
    }

    /// Without anything secret.
    package var description: String {
        let authentication =
            switch authentication {
            case .none: "none"
            case .user: "user"
            case .token: "token"
            case .credentials: "credentials"
            case .nkey, .nkeyFile: "nkey"
            }
        let hosts = servers.map(Self.withoutUserInfo).joined(separator: ",")
        return "\(hosts) as \(name), authentication \(authentication), tls \(tls != nil), sendAsap \(sendAsap)"
    }

    /// `nats://user:secret@host` becomes `nats://host`.
    static func withoutUserInfo(_ url: String) -> String {
        guard let at = url.lastIndex(of: "@") else { return url }
        let host = url[url.index(after: at)...]
        guard let scheme = url.range(of: "://"), scheme.upperBound <= at else { return String(host) }
        return String(url[..<scheme.upperBound] + host)
    }

    /// A text from libnats or the server, without the secrets of this configuration.
    func redacted(_ text: String) -> String {
        var secrets: [Substring] = []
        for url in servers {
            guard let at = url.lastIndex(of: "@") else { continue }
            let start = url.range(of: "://")?.upperBound ?? url.startIndex
            guard start < at else { continue }
            // A user's name is no secret, and one as short as "u" would be hidden all over the text.
            let parts = url[start..<at].split(separator: ":", maxSplits: 1)
            if let secret = parts.last { secrets.append(secret) }
        }
        switch authentication {
        case .user(_, let password): secrets.append(password[...])
        case .token(let token): secrets.append(token[...])
        case .nkey(let seed): secrets.append(seed.text[...])
        case .none, .credentials, .nkeyFile: break
        }
        var result = text
        for secret in secrets where !secret.isEmpty { result = result.replacingOccurrences(of: secret) }
        return result
    }
}

extension String {
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }

    fileprivate func replacingOccurrences(of secret: Substring) -> String {
        var result = ""
        var rest = self[...]
        while let first = rest.first {
            if rest.hasPrefix(secret) {
                result += "***"
                rest = rest.dropFirst(secret.count)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
