import Glibc
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Why HTTP cannot be served, in one line.
package struct HTTPFault: Error, CustomStringConvertible {
    package let description: String
}

/// Serves HTTP until it is told to stop: then it takes nothing new, and ends what is under way.
package final class HTTPService: Service {
    package struct Settings: Sendable {
        package var host: String
        /// 0: a free one.
        package var port: Int
        package var version: String
        package var instance: String
        package var limits = HTTPLimits()

        package init(host: String, port: Int, version: String, instance: String) {
            self.host = host
            self.port = port
            self.version = version
            self.instance = instance
        }
    }

    private static let round = Duration.seconds(1)

    private let settings: Settings
    private let responder: HTTPResponder
    private let tokens: TokenBoard
    private let logger: Logger
    private let bound = Mutex<Int?>(nil)

    package init(_ settings: Settings, backend: HTTPBackend, tokens: TokenBoard, logger: Logger) {
        self.settings = settings
        self.tokens = tokens
        self.logger = logger
        responder = HTTPResponder(settings, backend: backend, tokens: tokens, logger: logger)
    }

    /// The port that is listened on; nil before.
    package var port: Int? { bound.withLock { $0 } }

    /// One thread shuffles bytes; commands run elsewhere. It lives as long as the process: what the last connection leaves
    /// behind may come to it after the server has ended.
    private static let group: any EventLoopGroup = {
        NIOSingletons.groupLoopCountSuggestion = 1
        return MultiThreadedEventLoopGroup.singleton
    }()

    package func run() async throws {
        var quiet = logger
        // The server tells each address and each broken connection.
        quiet.logLevel = max(logger.logLevel, .error)
        let limits = settings.limits
        var channel = HTTP1Channel.Configuration(idleTimeout: TimeAmount(limits.request))
        channel.httpDecoder = .init(
            maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: 2 * limits.headerBytes, maxHeaderFieldCount: 100)
        let server = Server(
            childChannelSetup: HTTP1Channel(
                responder: { [responder] in try await responder.respond($0, $1, $2) }, configuration: channel),
            configuration: ServerConfiguration(
                address: .hostname(settings.host, port: settings.port),
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: quiet)),
            onServerRunning: { [self] in began($0) }, eventLoopGroup: Self.group, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in
                do { try await server.run() } catch let error as IOError { throw fault(error) }
            }
            tasks.addTask { [self] in
                while !Task.isCancelled {
                    lookAtTokens()
                    try await Task.sleep(for: Self.round)
                }
            }
            try await tasks.next()
            tasks.cancelAll()
        }
    }

    private func fault(_ error: IOError) -> HTTPFault {
        let place = "\(settings.host):\(settings.port)"
        return switch error.errnoCode {
        case EADDRINUSE: HTTPFault(description: "API_PORT: \(place) is taken by another process: choose another port")
        case EACCES: HTTPFault(description: "API_PORT: \(place) needs rights that this process does not have")
        default: HTTPFault(description: "API_HOST: cannot listen on \(place): \(error)")
        }
    }

    private func began(_ channel: any Channel) {
        let port = channel.localAddress?.port ?? settings.port
        bound.withLock { $0 = port }
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        logger.info(
            "HTTP is served",
            metadata: ["address": "http://\(host):\(port)", "tokens": tokens.isOpen ? "none" : "wanted"])
    }

    private func lookAtTokens() {
        switch tokens.look() {
        case nil: break
        case .changed(let entries):
            logger.notice("API_TOKENS_FILE has changed", metadata: ["entries": "\(entries)"])
        case .fault(let fault):
            logger.warning(
                "API_TOKENS_FILE is not used as it is now; what it said before holds", metadata: ["reason": "\(fault)"])
        }
    }
}
