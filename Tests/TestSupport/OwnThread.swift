import Glibc

/// What a test could not set up.
package struct TestSupportError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Runs `body` on a thread of its own: blocking calls stay away from Swift's threads.
package func startThread(_ body: @escaping @Sendable () -> Void) {
    let work = Unmanaged.passRetained(ThreadWork(body)).toOpaque()
    var thread = pthread_t()
    let status = pthread_create(
        &thread, nil,
        { context in
            guard let context else { return nil }
            Unmanaged<ThreadWork>.fromOpaque(context).takeRetainedValue().run()
            return nil
        }, work)
    if status == 0 { pthread_detach(thread) }
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

extension Task where Success == Never, Failure == Never {
    /// Runs blocking test code on a thread of its own, and waits for it without blocking.
    package static func onOwnThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            startThread { continuation.resume(with: Result(catching: body)) }
        }
    }
}
