import CNATS
import Glibc

/// Threads for calls that block, so that Swift's cooperative pool never does.
enum OwnThread {
    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts a detached thread. `name` is what `ps -L` shows, at most 15 bytes.
    /// - Throws: `.library` when the system gives no thread.
    static func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(NATSError) {
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                pthread_setname_np(pthread_self(), body.name)
                body.run()
                return nil
            }, body.toOpaque())
        guard result == 0 else {
            body.release()
            throw NATSError(.library(status: UInt32(result)), "The system gave no thread.", context: name)
        }
        pthread_detach(thread)
    }
}
