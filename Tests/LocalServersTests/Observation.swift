import Glibc

/// What the system says of a process, not what its owner believes.
func isGone(_ pid: pid_t) -> Bool {
    guard let state = state(pid) else { return true }
    return state == "Z"
}

/// The letter of a process's state; `nil` where there is no such process.
func state(_ pid: pid_t) -> Character? {
    text("/proc/\(pid)/stat").split(separator: ")").last?.dropFirst().first
}

func children(of pid: pid_t) -> [pid_t] {
    text("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { pid_t($0) }
}

/// The processes whose command line names a folder.
func processes(mentioning folder: String) -> [pid_t] {
    guard let stream = opendir("/proc") else { return [] }
    defer { closedir(stream) }
    var found: [pid_t] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if let pid = pid_t(name), text("/proc/\(name)/cmdline").contains(folder) { found.append(pid) }
    }
    return found
}

/// What a server on the port says first; `nil` when it says nothing in time or nobody listens.
func greeting(_ port: UInt16, seconds: Int = 1) -> String? {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(client) }
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            connect(client, pointer, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
    guard connected else { return nil }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = recv(client, &bytes, bytes.count, 0)
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
}

/// Asks again every 5 ms until the answer is yes or the time is over.
func until(_ seconds: Int, _ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while !condition() {
        guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(5))) != nil else { return false }
    }
    return true
}

private func text(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
        count = max(0, read(file, buffer.baseAddress, 1 << 16))
    }
    return String(decoding: bytes, as: UTF8.self)
}
