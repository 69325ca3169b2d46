package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Carries spans to the collector, a batch at a time, until it is told to stop; then it sends what is left, for three
/// seconds at most.
///
/// Who makes spans never waits for it: they go into a queue that drops what it has no room for. A collector that is away
/// costs those spans and one line in the log; when it is back, another line says how many are missing.
package final class SpanExporter: Service {
    /// Seconds that a process that ends waits for its last spans.
    private static let lastPatience: Int64 = 3
    /// The log hears of dropped spans so often, in nanoseconds, while the collector takes others.
    private static let tellingPause: Int64 = 60_000_000_000

    private let endpoint: CollectorEndpoint
    private let headers: [(name: String, value: String)]
    private let resource: SpanResource
    private let queue: SpanQueue
    private let clock: @Sendable () -> Int64
    private let second: Int64
    private let logger: Logger
    private let isStopping = Atomic(false)
    /// What the log was told of what was dropped, and when.
    private let told = Mutex<(dropped: UInt64, at: Int64)>((0, .min))

    /// - Parameters:
    ///   - headers: sent along; they are secret.
    ///   - clock: monotonic nanoseconds.
    ///   - second: in nanoseconds; a test has short ones.
    package init(
        to endpoint: CollectorEndpoint, headers: [(name: String, value: String)], resource: SpanResource,
        queue: SpanQueue, clock: @escaping @Sendable () -> Int64, second: Int64 = 1_000_000_000, logger: Logger
    ) {
        self.endpoint = endpoint
        self.headers = headers
        self.resource = resource
        self.queue = queue
        self.clock = clock
        self.second = second
        self.logger = logger
    }

    /// Makes spans that this one carries.
    package var tracer: ExportTracer { ExportTracer { [queue] in queue.add($0) } }

    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = CollectorClient(endpoint, headers: headers, group: group)
        await withGracefulShutdownHandler {
            await export(by: client)
        } onGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            client.end(within: .nanoseconds(Self.lastPatience * self.second))
        }
        try? await group.shutdownGracefully()
    }

    private func export(by client: CollectorClient) async {
        var course = ExportCourse(second: second)
        var batch: [SpanRecord] = []
        while !Task.isCancelled {
            let isLast = isStopping.load(ordering: .relaxed)
            let standing = batch.isEmpty ? queue.standing : (batch.count, 0)
            if isLast, standing == nil { break }
            guard isLast || course.isDue(standing, at: clock()) else {
                try? await Task.sleep(for: .nanoseconds(second / 10))
                continue
            }
            if batch.isEmpty { batch = queue.take(ExportCourse.batch) }
            let wasFailing = course.isFailing
            let verdict = course.take(
                await client.post(OTLPTraces.request(batch, of: resource)), at: clock())
            switch verdict {
            case .delivered(let rejected):
                queue.drop(Int(min(rejected, Int64(batch.count))))
                batch = []
            // Who ends has no second try.
            case .again where !isLast: break
            case .again, .dropped:
                queue.drop(batch.count)
                batch = []
            }
            tell(verdict, wasFailing: wasFailing)
        }
        let missing = queue.dropped - told.withLock { $0.dropped }
        guard missing > 0 else { return }
        logger.notice("spans are missing at the collector", metadata: ["spans": "\(missing)"])
    }

    /// A line when the collector begins to fail, and one when it takes spans again.
    private func tell(_ verdict: ExportCourse.Verdict, wasFailing: Bool) {
        switch verdict {
        case .again(let reason), .dropped(let reason):
            guard !wasFailing else { return }
            logger.warning(
                "the collector takes no spans; they are dropped where they are too many",
                metadata: ["collector": "\(endpoint.authority)", "reason": "\(reason)"])
        case .delivered:
            let (dropped, now) = (queue.dropped, clock())
            let missing = told.withLock { told -> UInt64? in
                let isNews = dropped > told.dropped && (told.at == .min || now - told.at >= Self.tellingPause)
                guard wasFailing || isNews else { return nil }
                defer { told = (dropped, now) }
                return dropped - told.dropped
            }
            guard let missing else { return }
            logger.notice("the collector takes spans", metadata: ["missing": "\(missing)"])
        }
    }
}
