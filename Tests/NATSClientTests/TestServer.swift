import Glibc
import NATSClient
import Synchronization
import Testing

/// A real nats-server on a free port of the loopback, with a folder of its own.
final class TestServer: Sendable {
    let port: UInt16
    let folder: String
    private let extraConfiguration: String
    private let process = Mutex<pid_t?>(nil)

    init(port: UInt16? = nil, extra: String = "") throws {
        self.port = try port ?? Self.freePort()
        var template = Array("/tmp/nats-test-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        extraConfiguration = extra
        try start()
    }

    deinit {
        kill()
        _ = Self.spawn(["/bin/rm", "-rf", folder])
    }

    var url: String { "nats://127.0.0.1:\(port)" }

    func start() throws {
        let path = folder + "/server.conf"
        let text = """
            listen: "127.0.0.1:\(port)"
            jetstream { store_dir: "\(folder)/js" }
            log_file: "\(folder)/log"
            \(extraConfiguration)
            """
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        let pid = try #require(Self.spawn(["/usr/sbin/nats-server", "-c", path]))
        process.withLock { $0 = pid }
    }

    /// `kill -9`, and waits for its end.
    func kill() {
        let pid = process.withLock { process in
            defer { process = nil }
            return process
        }
        guard let pid else { return }
        Glibc.kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    func signal(_ signal: Int32) {
        if let pid = process.withLock({ $0 }) { Glibc.kill(pid, signal) }
    }

    /// A connection that gives up after ten seconds.
    func connect(_ change: (inout NATSConfiguration) -> Void = { _ in }) async throws -> NATSConnection {
        var configuration = NATSConfiguration(servers: [url], name: "test")
        configuration.reconnectWait = .milliseconds(50)
        change(&configuration)
        return try await NATSConnection.connect(configuration, within: .seconds(10))
    }

    private static func spawn(_ arguments: [String]) -> pid_t? {
        var pid = pid_t()
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        // Its own output: a server that outlives a crashed test must not hold the test's pipe open.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in 0...2 as ClosedRange<Int32> {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        guard posix_spawn(&pid, arguments[0], &actions, nil, &pointers, environ) == 0 else { return nil }
        return pid
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        try #require(result == 0)
        return UInt16(bigEndian: address.sin_port)
    }
}

/// Collects what callbacks tell, and lets a test await it with a limit.
final class Recorder<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiters: [(id: Int, isMet: @Sendable ([Element]) -> Bool, CheckedContinuation<Bool, Never>)] = []
        var next = 0
    }

    private let state = Mutex(State())

    var all: [Element] { state.withLock { $0.elements } }

    func record(_ element: Element) { record(contentsOf: [element]) }

    func record(contentsOf elements: [Element]) {
        let met = state.withLock { state in
            state.elements += elements
            let met = state.waiters.filter { $0.isMet(state.elements) }
            state.waiters.removeAll { waiter in met.contains { $0.id == waiter.id } }
            return met.map(\.2)
        }
        for waiter in met { waiter.resume(returning: true) }
    }

    /// True when `isMet` came true within the limit.
    func wait(
        within limit: Duration = .seconds(10), until isMet: @escaping @Sendable ([Element]) -> Bool
    ) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = Task {
            try await Task.sleep(for: limit)
            let late = self.state.withLock { state in
                let late = state.waiters.filter { $0.id == id }
                state.waiters.removeAll { $0.id == id }
                return late.map(\.2)
            }
            for waiter in late { waiter.resume(returning: false) }
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let isAlready = state.withLock { state in
                if isMet(state.elements) { return true }
                state.waiters.append((id, isMet, continuation))
                return false
            }
            if isAlready { continuation.resume(returning: true) }
        }
    }

    func wait(count: Int, within limit: Duration = .seconds(10)) async -> Bool {
        await wait(within: limit) { $0.count >= count }
    }
}

extension NATSConnection {
    /// The events from now on, recorded.
    func recordEvents() -> Recorder<ConnectionEvent> {
        let recorder = Recorder<ConnectionEvent>()
        let stream = eventStream()
        Task { for await event in stream { recorder.record(event) } }
        return recorder
    }
}

func errorCode<Value>(_ body: () async throws -> Value) async -> NATSError.Code? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? NATSError)?.code
    }
}
