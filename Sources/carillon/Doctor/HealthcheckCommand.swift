import ArgumentParser
import JSONText
import NATSClient

/// `carillon healthcheck`: whether this machine's instance is ready, for whoever starts and stops it.
struct HealthcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "healthcheck", abstract: "Ask this machine's instance whether it is ready.",
        discussion: """
            With the settings of 'carillon serve': over HTTP (/ready, or /live with --live), and where API_PORT is off or \
            0 over NATS, where the instance of this SERVICE_NAME must answer. Exit code 0: it is; 1: it is not, with one \
            line why.
            """)

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Whether it runs, ready or not; needs HTTP.") var live = false
    @Option(help: "Seconds.") var timeout = 2.0

    func validate() throws {
        guard (0.1...60).contains(timeout) else { throw ValidationError("--timeout: expected 0.1 to 60 seconds") }
    }

    func run() async throws {
        let values = try CommandLineEnvironment.values(config: options.connection.config, flags: options.values)
        let settings: Settings
        do { settings = try Self.address(in: values) } catch { throw CommandLineEnvironment.refusal(error.lines) }
        let limit = Duration.seconds(timeout)
        let fault: String? =
            if let port = settings.httpPort, port > 0 {
                Self.fault(
                    of: settings, port: port, path: live ? "/live" : "/ready", within: limit)
            } else if live {
                "--live needs HTTP: set API_PORT"
            } else {
                try await NATSReadiness(settings: CommandLineEnvironment.settings(options)).fault(within: limit)
            }
        if let fault {
            Console.error(fault)
            throw ExitCode(1)
        }
        print("\(settings.serviceName) is \(live ? "alive" : "ready")")
    }

    /// What HTTP is asked with, and nothing else: a file that other settings name, and that is away or is being replaced,
    /// is no reason to end an instance that runs.
    static func address(in values: [String: String]) throws(Settings.Problems) -> Settings {
        let asked: [SettingName] = [.serviceName, .httpHost, .httpPort]
        var few = values.filter { name, _ in asked.contains { $0.rawValue == name } }
        // That there is one says who may listen where; to read it is the instance's part.
        if values[SettingName.tokensFile.rawValue] != nil { few[SettingName.tokensFile.rawValue] = "/dev/null" }
        return try Settings(values: few)
    }

    /// Why it is not well; nil where it is.
    private static func fault(of settings: Settings, port: Int, path: String, within limit: Duration) -> String? {
        do {
            let host = LocalRequest.reachable(settings.httpHost)
            return fault(in: try LocalRequest.get(path, host: host, port: port, within: limit))
        } catch {
            return "HTTP: \(error)"
        }
    }

    static func fault(in answer: LocalRequest.Answer) -> String? {
        if answer.status == 200 { return nil }
        let reasons = (try? JSONValue.parse(answer.body))?["reasons"].map { $0.elements.compactMap(\.string) } ?? []
        return reasons.isEmpty ? "HTTP answered with \(answer.status)" : reasons.joined(separator: "; ")
    }
}

/// Asks over NATS, where any instance may take the question: until the one of this name did.
struct NATSReadiness: Sendable {
    let settings: Settings

    func fault(within limit: Duration) async -> String? {
        let deadline = ContinuousClock.now + limit
        var configuration = settings.nats(name: "healthcheck")
        configuration.sendAsap = true
        do {
            let connection = try await NATSConnection.connect(configuration, within: limit)
            do {
                let fault = try await ask(connection, deadline)
                await connection.close()
                return fault
            } catch {
                await connection.close()
                throw error
            }
        } catch let error as NATSError {
            return "NATS: \(error.message)"
        } catch {
            return "NATS: \(error)"
        }
    }

    private func ask(_ connection: NATSConnection, _ deadline: ContinuousClock.Instant) async throws -> String? {
        let subject = try Subject("\(settings.subjectPrefix).admin.system.status")
        var others: Set<String> = []
        while ContinuousClock.now < deadline {
            let reply: NATSMessage
            do {
                reply = try await connection.request(subject, timeout: max(.milliseconds(1), deadline - .now))
            } catch {
                guard error.code == .timeout, !others.isEmpty else { throw error }
                break
            }
            guard let system = (try? JSONValue.parse(reply.payload))?["system"] else {
                return "NATS: expected a status, got something else"
            }
            let name = system["instance_name"]?.string
            // An instance that has not joined yet has no name to tell; alone it can only be this one.
            guard name == settings.serviceName || (name == nil && others.isEmpty) else {
                if let name { others.insert(name) }
                continue
            }
            if system["ready"]?.bool == true { return nil }
            let reasons = system["reasons"].map { $0.elements.compactMap(\.string) } ?? []
            return reasons.isEmpty ? "it is not ready" : reasons.joined(separator: "; ")
        }
        return "\(settings.serviceName) did not answer; \(others.sorted().joined(separator: ", ")) did"
    }
}
