import Glibc
import TopView

/// The terminal of a full-screen view: its other screen, without echo and line editing. Used by one task.
struct Terminal: ~Copyable {
    private let saved: termios?

    /// Whether there is a terminal that can show one.
    static var isThere: Bool { isatty(STDOUT_FILENO) == 1 && !["", "dumb"].contains(variable("TERM") ?? "") }

    /// As the terminal has it now; else what `COLUMNS` and `LINES` say.
    static var frame: TopFrame {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) != 0 || size.ws_col == 0 || size.ws_row == 0 {
            func number(_ name: String) -> Int? { variable(name).flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } }
            return TopFrame(
                width: min(number("COLUMNS") ?? TopFrame.usual.width, 1000),
                height: min(number("LINES") ?? TopFrame.usual.height, 1000), hasBlocks: hasUnicode)
        }
        return TopFrame(width: Int(size.ws_col), height: Int(size.ws_row), hasBlocks: hasUnicode)
    }

    /// By the locale's order of precedence.
    private static var hasUnicode: Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { variable($0) }.first { !$0.isEmpty } ?? ""
        let name = locale.lowercased()
        return name.contains("utf-8") || name.contains("utf8")
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Remembers how the terminal is.
    init() {
        var state = termios()
        saved = tcgetattr(STDIN_FILENO, &state) == 0 ? state : nil
    }

    func enter() {
        if var state = saved {
            // Keys come one by one, ctrl-C too; a read returns at once, with what there is.
            state.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG | IEXTEN)
            state.c_iflag &= ~tcflag_t(IXON | ICRNL)
            withUnsafeMutableBytes(of: &state.c_cc) { characters in
                characters[Int(VMIN)] = 0
                characters[Int(VTIME)] = 0
            }
            tcsetattr(STDIN_FILENO, TCSANOW, &state)
        }
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
    }

    /// As it was.
    func leave() {
        write("\u{1B}[?25h\u{1B}[?1049l")
        if var saved { tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved) }
    }

    /// - Parameter height: of the terminal; the lines are no more.
    func draw(_ lines: [String], height: Int) {
        // A terminal that takes nothing at the moment (ctrl-S, a stuck line) gets the next frame.
        var poll = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
        guard Glibc.poll(&poll, 1, 0) == 1, poll.revents & Int16(POLLOUT) != 0 else { return }
        // Over the last frame, line by line. What follows a text is erased before it: behind a line that is full the
        // cursor still stands on its last sign.
        let text = lines.map { "\u{1B}[2K" + $0 }.joined(separator: "\r\n")
        write("\u{1B}[H" + text + (lines.count < height ? "\r\n\u{1B}[J" : ""))
    }

    /// The keys that were hit since the last look.
    func keys() -> [UInt8] {
        guard saved != nil else { return [] }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : []
    }

    private func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
