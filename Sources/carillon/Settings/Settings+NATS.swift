import NATSClient

/// `NATS_NKEY_SEED`: a seed itself, or a file that has one.
enum NKeySetting: Sendable {
    case seed(NKeySeed)
    case file(String)
}

// MARK: - The settings of the connections to NATS

extension Settings {
    mutating func readNATS(_ reader: inout SettingsReader) {
        natsContext = reader.text(.natsContext)
        if let text = reader.text(.natsURL) {
            // Says nothing of the text, which may hold a password.
            if let problem = ServerList.problem(in: text) { reader.report(.natsURL, problem) } else { natsURL = text }
        }
        natsCredentials = reader.file(.natsCredentials)
        readNKey(&reader)
        natsUser = reader.text(.natsUser)
        natsPassword = reader.text(.natsPassword)
        natsToken = reader.text(.natsToken)
        if natsPassword != nil, natsUser == nil { reader.report(.natsPassword, "expected NATS_USER beside it") }
        readTLS(&reader)
        if let text = reader.text(.natsInboxPrefix) {
            if (try? Subject(text)) == nil || text.utf8.count > 200 {
                reader.report(.natsInboxPrefix, "expected tokens apart by dots without wildcards, got '\(text)'")
            } else {
                natsInboxPrefix = text
            }
        }
    }

    /// Nothing is said of a text that may be a seed with a letter wrong.
    private mutating func readNKey(_ reader: inout SettingsReader) {
        guard let text = reader.text(.natsNKey) else { return }
        if let seed = NKeySeed(text) {
            natsNKey = .seed(seed)
        } else if NKeySeed(file: text) != nil {
            natsNKey = .file(text)
        } else {
            reader.report(
                .natsNKey, "expected a user's seed (SU…, 58 characters), or the path of a readable file with one")
        }
    }

    private mutating func readTLS(_ reader: inout SettingsReader) {
        let authorities = reader.file(.natsAuthorities)
        let certificate = reader.file(.natsCertificate)
        let key = reader.file(.natsKey)
        if (reader.text(.natsCertificate) == nil) != (reader.text(.natsKey) == nil) {
            let missing = reader.text(.natsKey) == nil ? SettingName.natsKey : .natsCertificate
            reader.report(missing, "expected beside the other of NATS_TLS_CERT and NATS_TLS_KEY")
        }
        if authorities != nil || certificate != nil {
            natsTLS = NATSConfiguration.TLS(authorities: authorities, certificate: certificate, key: key)
        }
    }

    /// Where replies come in. Nobody else should be able to read or write below it.
    var inboxPrefix: String { natsInboxPrefix ?? "_INBOX.\(subjectPrefix)" }

    func nats(name: String) -> NATSConfiguration {
        var configuration = NATSConfiguration(
            servers: natsURL.split(separator: ",").map(String.init), name: "\(serviceName) \(name)")
        if let natsCredentials {
            configuration.authentication = .credentials(file: natsCredentials)
        } else if let natsNKey {
            switch natsNKey {
            case .seed(let seed): configuration.authentication = .nkey(seed)
            case .file(let path): configuration.authentication = .nkeyFile(path)
            }
        } else if let natsToken {
            configuration.authentication = .token(natsToken)
        } else if let natsUser {
            configuration.authentication = .user(natsUser, password: natsPassword ?? "")
        }
        configuration.tls = natsTLS
        configuration.inboxPrefix = inboxPrefix
        return configuration
    }
}
