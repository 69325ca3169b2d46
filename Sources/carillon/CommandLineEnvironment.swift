import ArgumentParser
import Glibc
import SchedulerCore

/// What a command finds around it: the environment, and files that it names.
enum CommandLineEnvironment {
    /// Exit code for wrong settings (`EX_CONFIG`).
    static let configurationFault = ExitCode(78)

    static func settings() throws -> Settings {
        do { return try Settings(environment: variables()) } catch { throw refusal(error.lines) }
    }

    static func targetRules(_ settings: Settings) throws -> TargetRules {
        guard let path = settings.targetsFile else {
            return TargetRules(rules: [], ownPrefix: settings.subjectPrefix)
        }
        guard let text = contents(of: path) else {
            throw refusal(["TARGETS_FILE: expected a readable file, got '\(path)'"])
        }
        do { return try TargetsFile.rules(from: text, ownPrefix: settings.subjectPrefix) } catch {
            throw refusal(["TARGETS_FILE: \(path): \(error)"])
        }
    }

    /// Says each problem on a line of its own, and ends with exit code 78.
    static func refusal(_ lines: [String]) -> ExitCode {
        for line in lines {
            let text = Array("carillon: \(line)\n".utf8)
            _ = write(STDERR_FILENO, text, text.count)
        }
        return configurationFault
    }

    static func variables() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }

    static func contents(of path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(validating: bytes, as: UTF8.self)
    }
}
