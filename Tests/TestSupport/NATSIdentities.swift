import LocalServers

/// A nats-server's operator with an account, and credentials files of two users, made with Python's `nkeys`.
package struct NATSIdentities: Sendable {
    private let folder: String

    /// Lines for the server's configuration.
    package let configuration: String
    package var known: String { folder + "/known.creds" }
    /// A user whom the server's operator knows nothing of.
    package var stranger: String { folder + "/stranger.creds" }

    /// The secret in a credentials file.
    package func seed(in file: String) -> String? {
        Filesystem.tail(file).split(separator: "\n").first { $0.hasPrefix("SU") }.map(String.init)
    }

    /// - Parameter folder: a private one; whoever owns it deletes it.
    package init(in folder: String) async throws {
        self.folder = folder
        let own = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        try await Tool.run(Tool.python, [own + "/python/nats_identities.py", folder], in: folder)
        configuration = Filesystem.tail(folder + "/auth.conf", bytes: 1 << 16)
    }
}
