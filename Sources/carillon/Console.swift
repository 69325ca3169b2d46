import Glibc
import Telemetry

/// What commands say to whoever started them: results on standard output, faults on standard error.
enum Console {
    static let output = LineSink(STDOUT_FILENO) { "  … \($0) lines were dropped: the terminal is too slow" }

    /// Colours are for terminals, and not where `NO_COLOR` says no.
    static var isColoured: Bool { isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil }

    static func say(_ line: String) { output.write(line) }

    static func error(_ line: String) { LineSink.standardError.write("carillon: \(line)") }
}
