import LocalServers
import NATSClient
import TestSupport
import Testing

@testable import carillon

/// Contexts of the `nats` command line, and NKeys, as settings.
@Suite final class ContextTests {
    private let folder: String

    init() throws { folder = try Filesystem.makeTemporaryFolder() }

    deinit { Filesystem.remove(folder) }

    /// Writes a context where the `nats` command line keeps them.
    private func write(_ text: String, name: String = "prod") throws {
        try Filesystem.makeFolder(folder + "/nats/context")
        try Filesystem.write(text, to: folder + "/nats/context/\(name).json")
    }

    private func settings(_ values: [String: String] = [:]) throws -> Settings {
        let own = ["NATS_CONTEXT": "prod", "XDG_CONFIG_HOME": folder]
        return try Settings(values: own.merging(values) { $1 })
    }

    private func problem(_ values: [String: String] = [:]) throws -> String {
        let problems = #expect(throws: Settings.Problems.self) { try settings(values) }
        let lines = try #require(problems?.lines)
        #expect(lines.count == 1)
        return lines.first ?? ""
    }

    /// Every field that the nats command line writes, most of them empty.
    private static let whole = """
        {"description":"d","url":"nats://a:1,nats://b:2","socks_proxy":"","token":"","user":"u","password":"s3cret",\
        "creds":"","nkey":"","cert":"","key":"","ca":"","nsc":"","jetstream_domain":"","jetstream_api_prefix":"",\
        "jetstream_event_prefix":"","inbox_prefix":"_INBOX.u","user_jwt":"","color_scheme":"green","tls_first":false}
        """

    @Test func itsServerAndIdentityAreTaken() throws {
        try write(Self.whole)
        let settings = try settings()
        #expect(settings.natsURL == "nats://a:1,nats://b:2")
        #expect(settings.natsUser == "u" && settings.natsPassword == "s3cret")
        let configuration = settings.nats(name: "x")
        #expect(configuration.servers == ["nats://a:1", "nats://b:2"])
        #expect(configuration.inboxPrefix == "_INBOX.u")
        let shown = settings.shown.map { "\($0.name.rawValue)=\($0.text)" }
        #expect(shown.contains("NATS_CONTEXT=prod") && shown.contains("NATS_USER=u"))
        #expect(!shown.joined().contains("s3cret"))
    }

    @Test func aPathNamesOneToo() throws {
        try Filesystem.write(#"{"url":"nats://c:3"}"#, to: folder + "/mine.json")
        #expect(try settings(["NATS_CONTEXT": folder + "/mine.json"]).natsURL == "nats://c:3")
    }

    @Test func withoutAFolderOfItsOwnTheHomeFolderIsLookedAt() throws {
        try Filesystem.makeFolder(folder + "/.config/nats/context")
        try Filesystem.write(#"{"url":"nats://d:4","ca":"~/ca.pem"}"#, to: folder + "/.config/nats/context/prod.json")
        try Filesystem.write("", to: folder + "/ca.pem")
        let settings = try Settings(values: ["NATS_CONTEXT": "prod", "HOME": folder])
        #expect(settings.natsURL == "nats://d:4" && settings.natsTLS?.authorities == folder + "/ca.pem")
    }

    /// Flags, environment and file come before it.
    @Test func whatIsSetBesidesComesFirst() throws {
        try write(Self.whole)
        let other = try settings(["NATS_URL": "nats://z:9", "NATS_TOKEN": "t", "NATS_INBOX_PREFIX": "_INBOX.z"])
        #expect(other.natsURL == "nats://z:9" && other.natsToken == "t" && other.inboxPrefix == "_INBOX.z")
        // An identity is taken whole or not at all.
        #expect(other.natsUser == nil && other.natsPassword == nil)
        #expect(try settings(["NATS_URL": "nats://me:word@z:9"]).natsUser == nil)
        #expect(try settings(["NATS_URL": "nats://z:9"]).natsUser == "u")
    }

    @Test(arguments: [
        ("user_jwt", #""eyJ0s3cret""#), ("nsc", #""nsc://o/a/u""#), ("socks_proxy", #""socks5://p:1""#),
        ("jetstream_domain", #""hub""#), ("jetstream_api_prefix", #""x""#), ("tls_first", "true"),
        ("windows_cert_store", #""user""#), ("something_new", #""s3cret""#),
    ]) func whatItCannotDoIsRefusedByName(field: String, value: String) throws {
        try write(#"{"url":"nats://a:1","\#(field)":\#(value)}"#)
        let line = try problem()
        #expect(line.hasPrefix("NATS_CONTEXT: ") && line.contains(field), "\(line)")
        #expect(!line.contains("s3cret"))
    }

    @Test(arguments: ["", "[]", "{", #"{"url":5}"#, #"{"url":"nats://a:1","url":"nats://b:2"}"#])
    func whatIsNoContextIsToldInOneLine(text: String) throws {
        try write(text)
        #expect(try problem().hasPrefix("NATS_CONTEXT: expected"))
    }

    @Test func oneThatIsNotThereIsToldWithItsPath() throws {
        #expect(try problem(["NATS_CONTEXT": "nowhere"]).contains(folder + "/nats/context/nowhere.json"))
        #expect(try problem(["NATS_CONTEXT": ".."]).contains("'..'"))
    }

    // MARK: NKeys

    @Test func anNKeyIsASeedOrAFile() async throws {
        let identities = try await NATSIdentities(in: folder)
        let seed = try #require(identities.seed(in: identities.nkey))
        for (value, shown) in [(seed, "***"), (identities.nkey, identities.nkey)] {
            let settings = try Settings(values: ["NATS_NKEY_SEED": value])
            switch settings.nats(name: "x").authentication {
            case .nkey, .nkeyFile: break
            default: Issue.record("expected an NKey")
            }
            #expect(settings.shown.contains { $0.name == .natsNKey && $0.text == shown })
            #expect(!"\(settings)".contains(seed) && !String(reflecting: settings).contains(seed))
        }
        // With a letter wrong it is still a secret.
        let wrong = String(seed.dropLast()) + "!"
        let problems = #expect(throws: Settings.Problems.self) { try Settings(values: ["NATS_NKEY_SEED": wrong]) }
        #expect(problems?.lines.count == 1 && problems?.description.contains(wrong) == false)
        try write(#"{"url":"nats://a:1","nkey":"\#(identities.nkey)"}"#)
        #expect(try settings().shown.contains { $0.name == .natsNKey && $0.text == identities.nkey })
    }
}

/// What the log says of the connections to NATS.
@Suite struct ConnectionNewsTests {
    @Test func fourConnectionsThatAreLostTogetherAreToldOnce() {
        var news = ConnectionNews()
        let names = ["a", "b", "c", "d"]
        let lost = names.compactMap { news.heard(.disconnected, on: $0) }
        #expect(lost.map(\.message) == ["the connection to NATS is lost"])
        let told = names.compactMap {
            news.heard(
                .error("Connecting failed: Authorization Violation. (nats://h as \($0)) [notAuthorized]"), on: $0)
        }
        #expect(told.count == 1 && told.first.map { "\($0.level)" } == "warning")
        #expect(told.first?.metadata["reason"]?.contains("Authorization Violation") == true)
        let again = news.heard(.error("Connecting failed: certificate has expired."), on: "b")
        #expect(again?.message == "there is no connection to NATS")
        let back = names.compactMap { news.heard(.linkLost("x"), on: $0) }
        #expect(back.isEmpty)
    }

    @Test func whatIsForbiddenIsToldOnceASubject() throws {
        var news = ConnectionNews()
        let violation = try #require(
            PermissionViolation(serverText: #"Permissions Violation for Publish to "demo.x""#))
        let heard = news.heard(.permissionViolation(violation), on: "a")
        let line = try #require(heard)
        #expect("\(line.level)" == "error" && line.metadata == ["operation": "publish", "subject": "demo.x"])
        let again = news.heard(.permissionViolation(violation), on: "b")
        #expect(again == nil)
    }

    @Test func aHundredReasonsAreToldAndNoMore() {
        var news = ConnectionNews()
        let told = (0..<1000).compactMap { news.heard(.error("reason \($0)"), on: "a") }
        #expect(told.count == 100)
    }
}
