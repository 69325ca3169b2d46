import LocalServers
import TestSupport
import Testing
import Yams

@testable import carillon

/// What a YAML file of `docker/` says, walked into by names and places; what is not there is nothing, and not an error.
struct InstalledFile {
    private let value: Any?

    private init(_ value: Any?) { self.value = value }

    /// The documents of a file.
    static func documents(_ path: String) throws -> [InstalledFile] {
        try Array(Yams.load_all(yaml: contents(path))).map(InstalledFile.init)
    }

    static func contents(_ path: String) throws -> String {
        try #require(CommandLineEnvironment.contents(of: path), "\(path)")
    }

    subscript(_ name: String) -> InstalledFile { InstalledFile((value as? [String: Any])?[name]) }

    var list: [InstalledFile] { (value as? [Any])?.map(InstalledFile.init) ?? [] }
    var members: [String: InstalledFile] { (value as? [String: Any])?.mapValues(InstalledFile.init) ?? [:] }
    var text: String? { value.map { "\($0)" } }
    var integer: Int? { value as? Int }
    /// Of a list of them.
    var texts: [String] { list.compactMap(\.text) }

    /// What stands between one text and another, each time.
    static func pieces(of text: String, after start: String, until end: Character) -> [String] {
        text.components(after: start).map { String($0.prefix { $0 != end }) }
    }
}

extension String {
    /// What follows each place where another text stands.
    fileprivate func components(after start: String) -> [Substring] {
        var rest = self[...]
        var found: [Substring] = []
        while let place = rest.firstRange(of: start) {
            rest = rest[place.upperBound...]
            found.append(rest)
        }
        return found
    }
}
