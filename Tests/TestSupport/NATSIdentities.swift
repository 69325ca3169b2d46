import LocalServers

/// A nats-server's operator with an account, and credentials files of two users, made with Python's `nkeys`.
package struct NATSIdentities: Sendable {
    private let folder: String

    /// Lines for the server's configuration.
    package let configuration: String
    /// Lines for another server, which knows one user, by an NKey.
    package let nkeyConfiguration: String
    /// A file with that user's seed.
    package var nkey: String { folder + "/user.nk" }
    /// A file with an account's seed.
    package var accountKey: String { folder + "/account.nk" }
    package var known: String { folder + "/known.creds" }
    /// A user whom the server's operator knows nothing of.
    package var stranger: String { folder + "/stranger.creds" }

    /// The secret in a credentials file, or in one of an NKey.
    package func seed(in file: String) -> String? {
        Filesystem.tail(file).split(separator: "\n").first { $0.hasPrefix("S") }.map(String.init)
    }

    /// - Parameter folder: a private one; whoever owns it deletes it.
    package init(in folder: String) async throws {
        self.folder = folder
        let own = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        try await Tool.run(Tool.python, [own + "/python/nats_identities.py", folder], in: folder)
        configuration = Filesystem.tail(folder + "/auth.conf", bytes: 1 << 16)
        nkeyConfiguration = Filesystem.tail(folder + "/nkey.conf", bytes: 1 << 16)
    }
}
