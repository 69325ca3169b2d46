import Glibc
import Synchronization

/// Writes whole lines to a file descriptor, and never waits for a slow reader.
///
/// A terminal that was stopped, or a pipe that nobody empties, must not stop the scheduler: where there is no room, the
/// line is dropped and counted, and the next one that finds room is preceded by the count. Lines of several threads do
/// not mix: up to 4096 bytes (`PIPE_BUF`) go out in one piece.
package final class LineSink: Sendable {
    private struct State {
        var dropped = 0
        var isClosed = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())
    /// Makes the line that tells how many were dropped.
    private let notice: @Sendable (Int) -> String

    package init(_ descriptor: Int32, notice: @escaping @Sendable (Int) -> String) {
        self.descriptor = descriptor
        self.notice = notice
    }

    /// Standard error, for logs.
    package static let standardError = LineSink(STDERR_FILENO) { "\($0) lines were dropped: their reader is too slow" }

    /// Whether the reader is gone for good.
    package var isClosed: Bool { state.withLock { $0.isClosed } }

    package func write(_ line: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            guard hasRoom else {
                state.dropped += 1
                return
            }
            if state.dropped > 0 {
                put(notice(state.dropped), &state)
                state.dropped = 0
            }
            put(line, &state)
        }
    }

    private var hasRoom: Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return Glibc.poll(&poll, 1, 0) > 0
    }

    private func put(_ line: String, _ state: inout State) {
        let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
        let written = Glibc.write(descriptor, bytes, bytes.count)
        if written < 0, errno == EPIPE || errno == EBADF || errno == EIO { state.isClosed = true }
    }
}
