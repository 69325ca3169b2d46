import Synchronization

/// What a file said when it was looked at last; nil where it could not be read.
final class LastText: Sendable {
    private let text: Mutex<String?>

    init(_ text: String?) { self.text = Mutex(text) }

    /// Takes note of what it says now. - Returns: whether that is news.
    func isNews(_ now: String?) -> Bool {
        text.withLock { text in
            defer { text = now }
            return text != now
        }
    }
}
