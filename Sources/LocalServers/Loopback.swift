import Glibc

/// Ports on 127.0.0.1.
enum Loopback {
    /// A port that nobody listened on a moment ago. Another process can take it before it is used: whoever starts a
    /// server on it tries another one when the server says so.
    static func freePort() throws(LocalServerError) -> UInt16 {
        let socket = tcpSocket()
        defer { close(socket) }
        var address = address(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, pointer, size) != 0 || getsockname(socket, pointer, &size) != 0
            }
        }
        if failed { throw LocalServerError(.system, "expected a free port, got \(Filesystem.lastError)") }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func tcpSocket() -> Int32 {
        socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }

    private static func address(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
