import ArgumentParser
import Glibc
import Migrations
import NATSClient
import PostgresClient
import SchedulerCore
import SchedulerHTTP

/// What a command finds around it: flags, the environment, and files that it names.
enum CommandLineEnvironment {
    /// Wrong settings (`EX_CONFIG`).
    static let configurationFault = ExitCode(78)

    /// Flags win over the environment, which wins over the file.
    static func values(config: String?, flags: [String: String]) throws -> [String: String] {
        let environment = variables()
        var values: [String: String] = [:]
        if let path = config ?? environment["CARILLON_CONFIG"].flatMap({ $0.isEmpty ? nil : $0 }) {
            guard let text = contents(of: path) else {
                throw refusal(["--config: expected a readable file of UTF-8 text, got '\(path)'"])
            }
            let file = SettingsFile.read(text, path: path)
            if !file.problems.isEmpty { throw refusal(file.problems) }
            values = file.values
        }
        values.merge(environment.filter { !$0.value.isEmpty }) { $1 }
        values.merge(flags) { $1 }
        return values
    }

    static func settings(_ options: SettingsOptions) throws -> Settings {
        let values = try values(config: options.connection.config, flags: options.values)
        do { return try Settings(values: values) } catch {
            // What is wrong with the allow-list is told with the rest.
            var lines = error.lines
            if let path = values[SettingName.targetsFile.rawValue], let text = contents(of: path) {
                lines += TargetsFile.read(text, at: path, ownPrefix: "").problems.map { "TARGETS_FILE: \($0)" }
            }
            throw refusal(lines)
        }
    }

    /// Says each problem on a line of its own; the command ends with exit code 78.
    static func refusal(_ lines: [String]) -> ExitCode {
        for line in lines { Console.error(line) }
        return configurationFault
    }

    /// Tells a fault in one line, where a command would else show how its error looks inside.
    static func endingInOneLine(_ body: () async throws -> Void) async throws {
        do { try await body() } catch is StopRequest.Stopped {
            // Asked to end before it had begun: that is a good end.
        } catch let error as NATSError where error.code == .invalidConfiguration {
            throw refusal(["NATS: \(error)"])
        } catch let error as PostgresError where error.code == .invalidConfiguration {
            throw refusal(["DATABASE_URL: \(error.message)"])
        } catch let fault as HTTPFault {
            Console.error(fault.description)
            throw ExitCode(EX_UNAVAILABLE)
        } catch let error as MigrationError {
            Console.error(error.underlying.map { "\(error.message): \($0)" } ?? error.description)
            throw ExitCode(EX_UNAVAILABLE)
        }
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

    /// Nil where it cannot be read, or is not UTF-8.
    static func contents(of path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        guard ferror(file) == 0 else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
