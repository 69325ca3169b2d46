import Glibc
import SchedulerCore
import Yams

/// The allow-list as a YAML file (contract.md §6, `TARGETS_FILE`).
struct TargetsFile: Decodable {
    struct Entry: Decodable {
        let namespace: String
        let subject: String
        let delivery: [String]?
        let max_payload_bytes: Int?
    }

    let targets: [Entry]

    /// What is wrong with a file, in words.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter text: the file's content.
    static func rules(from text: String, ownPrefix: String) throws -> TargetRules {
        let file: TargetsFile
        do { file = try YAMLDecoder().decode(TargetsFile.self, from: text) } catch {
            throw Problem(description: "expected 'targets:' with a list of entries: \(error)")
        }
        let rules = try file.targets.enumerated().map { index, entry in
            do { return try entry.rule() } catch { throw Problem(description: "targets[\(index)]: \(error)") }
        }
        return TargetRules(rules: rules, ownPrefix: ownPrefix)
    }
}

extension TargetsFile.Entry {
    fileprivate func rule() throws -> TargetRule {
        let deliveries = try (delivery ?? ["jetstream"]).compactMap { text -> Delivery? in
            // Known to the contract, not yet to this version: allowed, and of no use.
            if text == "request" { return nil }
            guard let delivery = Delivery(rawValue: text) else {
                throw TargetsFile.Problem(
                    description: "delivery: expected 'jetstream', 'core' or 'request', got '\(text)'")
            }
            return delivery
        }
        return TargetRule(
            namespace: namespace == "*" ? nil : try Namespace(namespace), subject: try SubjectPattern(subject),
            delivery: Set(deliveries), maxPayloadBytes: max_payload_bytes)
    }
}
