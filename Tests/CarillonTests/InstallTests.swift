import ArgumentParser
import LocalServers
import SchedulerCore
import SchedulerHTTP
import TestSupport
import Testing

@testable import carillon

/// What is installed from says what the program knows: settings, ports, paths, versions, rights.
@Suite("Files to install from") struct InstallTests {
    /// Settings that the program accepts as they stand, but for what libpq reads by itself; files are those of the package.
    private func expectAccepted(_ environment: [String: String], at place: String) {
        var values: [String: String] = [:]
        for (name, text) in environment where name != "PGPASSWORD" {
            #expect(SettingName(rawValue: name) != nil, "\(place): \(name)")
            let file = text.split(separator: "/").last.map(String.init) ?? ""
            values[name] = text.hasPrefix("/etc/carillon") ? "docker/debian/" + file : text
        }
        do { _ = try Settings(values: values) } catch { Issue.record("\(place): \(error.lines)") }
    }

    /// A command of this program, that has said why before whoever waits for it gives up.
    private func expectHealthcheck(_ line: [String], live: Bool, within seconds: Double, at place: String) throws {
        #expect(line.prefix(2) == ["CMD", "/usr/bin/carillon"], "\(place)")
        let asked = try Carillon.parseAsRoot(Array(line.dropFirst(2)))
        let command = try #require(asked as? HealthcheckCommand, "\(place)")
        #expect(command.live == live && command.timeout < seconds, "\(place)")
    }

    private func expectAllowList(_ text: String, at place: String) throws {
        let reading = TargetsFile.read(text, at: "docker/targets.yaml", ownPrefix: "scheduler")
        #expect(reading.problems == [], "\(place)")
        let permissions = try InstalledFile.contents("docker/nats/permissions.conf")
        for subject in InstalledFile.pieces(of: text, after: "subject: ", until: "\n") {
            #expect(permissions.contains("\"\(subject)\"\n"), "\(place): the server permits no publish on \(subject)")
        }
    }

    @Test func theComposeFile() throws {
        let compose = try #require(InstalledFile.documents("docker/compose.yaml").first)
        let services = compose["services"].members
        let ours = services.filter { $0.value["image"].text == "${CARILLON_IMAGE:-carillon:\(Carillon.version)}" }
        #expect(ours.keys.sorted() == ["carillon-1", "carillon-2", "migrate"])
        for (name, service) in ours {
            expectAccepted(service["environment"].members.compactMapValues(\.text), at: name)
            #expect(service["build"]["dockerfile"].text == "docker/Dockerfile")
            if name != "migrate" {
                try expectHealthcheck(service["healthcheck"]["test"].texts, live: false, within: 5, at: name)
                #expect(service["healthcheck"]["timeout"].text == "5s")
            }
        }
        for (name, service) in services {
            #expect(service["healthcheck"]["test"].list.isEmpty == (name == "migrate"), "\(name)")
            #expect(service["ports"].texts.allSatisfy { $0.hasPrefix("127.0.0.1:") }, "\(name)")
            for (other, wish) in service["depends_on"].members {
                let ends = wish["condition"].text == "service_completed_successfully"
                #expect(
                    services[other]?["restart"].text == (ends ? "no" : "unless-stopped"), "\(name) waits for \(other)")
            }
        }
        try expectAllowList(InstalledFile.contents("docker/carillon/targets.yaml"), at: "compose")

        // Whom Prometheus asks, and whom the server of NATS lets in.
        let port = try #require(try Settings(values: [:]).httpPort)
        let prometheus = try #require(InstalledFile.documents("docker/prometheus/compose.yaml").first)
        let targets = prometheus["scrape_configs"].list.flatMap { $0["static_configs"].list }.flatMap {
            $0["targets"].texts
        }
        #expect(targets == ["carillon-1:\(port)", "carillon-2:\(port)"])
        #expect(
            targets
                == ["carillon-1", "carillon-2"].map { "\(ours[$0]?["environment"]["SERVICE_NAME"].text ?? ""):\(port)" }
        )
        let accounts = try InstalledFile.contents("docker/nats/accounts.conf")
        let passwords = InstalledFile.pieces(of: accounts, after: "password: $", until: "_").count
        #expect(services["nats"]?["environment"].members.count == passwords)
        for name in services["nats"]?["environment"].members.keys.sorted() ?? [] {
            #expect(accounts.contains("$\(name)"))
        }
    }

    /// Run as it stands, beside a copy of what it writes into.
    @Test func whatTheComposeFileWantsIsMade() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try Filesystem.makeFolder(folder + "/carillon")
        try Filesystem.write(InstalledFile.contents("docker/make-env.sh"), to: folder + "/make-env.sh")
        try await Tool.run("bash", [folder + "/make-env.sh"], in: folder)

        let made = try InstalledFile.contents(folder + "/.env").split(separator: "\n").map { $0.split(separator: "=") }
        let names = Set(made.compactMap(\.first).map(String.init))
        let compose = try InstalledFile.contents("docker/compose.yaml")
        let wanted = Set(
            InstalledFile.pieces(of: compose, after: "${", until: "}").filter { $0.contains(":?") }
                .compactMap { $0.split(separator: ":").first.map(String.init) })
        #expect(names == wanted.union(["CARILLON_TOKEN"]))
        // nats-server reads what a variable holds as it reads a value: 9e1 would be a number.
        #expect(made.allSatisfy { $0.last?.first?.isLetter == true })
        let token = try #require(made.first { $0.first == "CARILLON_TOKEN" }?.last)
        let reading = TokensFile.read(try InstalledFile.contents(folder + "/carillon/tokens.yaml"))
        #expect(reading.problems == [])
        #expect(reading.table.access(with: token.utf8)?.isAdministrator == true)
        await #expect(throws: TestSupportError.self, "passwords that are in use are not made anew") {
            try await Tool.run("bash", [folder + "/make-env.sh"], in: folder)
        }
    }

    @Test func theManifestForKubernetes() throws {
        let documents = try InstalledFile.documents("docker/kubernetes/carillon.yaml")
        func find(_ kind: String, _ name: String) throws -> InstalledFile {
            try #require(
                documents.first { $0["kind"].text == kind && $0["metadata"]["name"].text == name }, "\(kind) \(name)")
        }
        let secrets = try InstalledFile.documents("docker/kubernetes/secrets.example.yaml")
        let deployment = try find("Deployment", "carillon")["spec"]
        let job = try find("Job", "carillon-migrate-\(Carillon.version)")["spec"]
        let settings = try find("ConfigMap", "carillon")["data"].members.compactMapValues(\.text)
        let user = InstalledFile.pieces(
            of: try InstalledFile.contents("docker/Dockerfile"), after: "\nUSER ", until: "\n")

        for (spec, shared) in [(deployment["template"]["spec"], settings), (job["template"]["spec"], [:])] {
            let container = try #require(spec["containers"].list.first)
            #expect(container["image"].text == "carillon:\(Carillon.version)")
            var environment = shared
            for entry in container["env"].list {
                let key = entry["valueFrom"]["secretKeyRef"]
                if let secret = key["name"].text, let member = key["key"].text {
                    let found = secrets.first { $0["metadata"]["name"].text == secret }
                    #expect(found?["stringData"].members[member] != nil, "\(secret).\(member)")
                }
                environment[try #require(entry["name"].text)] = entry["value"].text ?? "given"
            }
            expectAccepted(environment, at: "kubernetes")
            #expect(
                [
                    "\(spec["securityContext"]["runAsUser"].integer ?? 0):\(spec["securityContext"]["runAsGroup"].integer ?? 0)"
                ] == user)
            #expect(container["securityContext"]["readOnlyRootFilesystem"].text == "true")
        }
        #expect(deployment["replicas"].integer == 2)
        #expect((deployment["template"]["spec"]["terminationGracePeriodSeconds"].integer ?? 0) >= 30)
        let container = try #require(deployment["template"]["spec"]["containers"].list.first)
        #expect(container["ports"].list.first?["containerPort"].integer == (try Settings(values: [:])).httpPort)
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"].map { container[$0]["httpGet"]["path"].text }
        #expect(probes == ["/live", "/live", "/ready"])
        let folders = container["volumeMounts"].list.compactMap(\.["mountPath"].text)
        #expect(settings["TARGETS_FILE"] == folders.first.map { $0 + "/targets.yaml" })
        #expect(settings["API_TOKENS_FILE"] == folders.last.map { $0 + "/tokens.yaml" })
        try expectAllowList(
            try #require(find("ConfigMap", "carillon-targets")["data"]["targets.yaml"].text), at: "kubernetes")
        let tokens = secrets.first { $0["metadata"]["name"].text == "carillon-tokens" }?["stringData"]["tokens.yaml"]
            .text
        #expect(TokensFile.read(try #require(tokens)).problems == [])
    }

    /// Both as it comes and with what it only shows.
    @Test(arguments: ["carillon.conf", "migrate.conf"]) func theSettingsOfThePackage(name: String) throws {
        let text = try InstalledFile.contents("docker/debian/" + name)
        let shown = text.split(separator: "\n").map { line in
            let bare = line.drop { $0 == "#" }
            return bare.first?.isUppercase == true && bare.contains("=") && !bare.contains(" ") ? bare : line
        }
        for lines in [text, shown.joined(separator: "\n")] {
            let reading = SettingsFile.read(lines, path: name)
            #expect(reading.problems == [])
            expectAccepted(reading.values.filter { !$0.value.isEmpty && $0.key != "NATS_USER" }, at: name)
        }
        #expect(shown.joined() != text.split(separator: "\n").joined())
    }

    @Test func theFilesOfThePackage() throws {
        let targets = TargetsFile.read(
            try InstalledFile.contents("docker/debian/targets.yaml"), at: "", ownPrefix: "scheduler")
        #expect(targets.problems == [])
        #expect(targets.rules.rules.isEmpty)
        #expect(TokensFile.read(try InstalledFile.contents("docker/debian/tokens.yaml")).problems == [])
        // The page's lines, and what the image is built with.
        let page = try InstalledFile.contents("docs/install.md")
        #expect(
            page.contains("carillon_\(Carillon.version)-1_amd64.deb") && page.contains("carillon:\(Carillon.version)"))
        let build = try InstalledFile.contents("docker/Dockerfile")
        let manifest = try InstalledFile.contents("Package.swift")
        for package in InstalledFile.pieces(of: manifest, after: ".apt([\"", until: "\"") {
            #expect(build.contains(" \(package) "))
        }
        let check = try #require(InstalledFile.pieces(of: build, after: "\nHEALTHCHECK ", until: "\n").first)
        #expect(check.contains("--timeout=5s "))
        let words = check.drop { $0 != "[" }.split { "[], \"".contains($0) }.map(String.init)
        try expectHealthcheck(["CMD"] + words, live: true, within: 5, at: "the image")
    }

    @Test func prometheusAcceptsItsSettings() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        for path in ["docker/prometheus/compose.yaml", "docker/prometheus/prometheus.yaml"] {
            try await Tool.run(Promtool.program("promtool"), ["check", "config", path], in: folder)
        }
    }

    /// systemd knows every line of the unit, and finds it confined: 1.2 of 10, where a service that says nothing has 9.6.
    @Test(.enabled(if: Filesystem.program("systemd-analyze") != nil)) func theUnit() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let unit = try InstalledFile.contents("docker/systemd/carillon.service")
        // Without what is not on this machine: the program and its manual.
        let here = unit.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("Documentation=") }.joined(separator: "\n")
        let path = folder + "/carillon.service"
        try Filesystem.write(here.replacing("ExecStart=/usr/bin/carillon", with: "ExecStart=/bin/true"), to: path)
        try await Tool.run("systemd-analyze", ["verify", path], in: folder)
        #expect(Filesystem.tail(folder + "/tool.log") == "")
        try await Tool.run(
            "systemd-analyze", ["security", "--no-pager", "--offline=yes", "--threshold=12", path], in: folder)
    }
}
