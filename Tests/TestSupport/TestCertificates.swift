import LocalServers

/// Certificates for two days, made with openssl: an authority with a server on 127.0.0.1, one elsewhere, one whose time is
/// over, and a client of it; and another authority that has signed none of them.
package struct TestCertificates: Sendable {
    private let folder: String

    package var authority: String { folder + "/ca.pem" }
    package var otherAuthority: String { folder + "/other.pem" }
    /// - Parameter name: as in ``serverBlock(verifies:name:)``.
    package func server(_ name: String = "server") -> (certificate: String, key: String) {
        (folder + "/\(name).pem", folder + "/\(name).key")
    }
    package var client: (certificate: String, key: String) { (folder + "/client.pem", folder + "/client.key") }

    /// A nats-server's `tls` block.
    /// - Parameters:
    ///   - verifies: whether clients need a certificate too.
    ///   - name: `elsewhere`: with a certificate for `elsewhere.example`; `expired`: with one whose time is over.
    package func serverBlock(verifies: Bool = false, name: String = "server") -> String {
        """
        tls {
            cert_file: "\(folder)/\(name).pem", key_file: "\(folder)/\(name).key", ca_file: "\(authority)"
            verify: \(verifies), timeout: 5
        }
        """
    }

    /// - Parameter folder: a private one; whoever owns it deletes it.
    package init(in folder: String) async throws {
        self.folder = folder
        let script = """
            set -e; cd "$1"
            key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            for name in ca other; do
                openssl req -x509 $key -days 2 -subj "/CN=$name" -keyout $name.key -out $name.pem
            done
            issue() {
                openssl req $key -subj "/CN=$1" -keyout $1.key -out $1.request
                echo "$2" > $1.extensions
                openssl x509 -req -in $1.request -CA ca.pem -CAkey ca.key -CAcreateserial -days ${3:-2} \
                    -extfile $1.extensions -out $1.pem
            }
            issue server subjectAltName=IP:127.0.0.1
            issue expired subjectAltName=IP:127.0.0.1 -1
            issue elsewhere subjectAltName=DNS:elsewhere.example
            issue client extendedKeyUsage=clientAuth
            """
        try await Tool.run("sh", ["-c", script, "certificates", folder], in: folder)
    }

    /// Puts files of another set in the place of these, as a renewal does: each whole, by renaming.
    /// - Parameter names: without endings; a certificate and its key each.
    package func renew(from other: TestCertificates, _ names: [String] = ["ca", "server", "client"]) async throws {
        let script = """
            set -e; cd "$1"; from=$2; shift 2
            for name; do
                for file in $name.pem $name.key; do cp -p "$from/$file" $file.new; mv $file.new $file; done
            done
            """
        try await Tool.run("sh", ["-c", script, "renew", folder, other.folder] + names, in: folder)
    }
}
