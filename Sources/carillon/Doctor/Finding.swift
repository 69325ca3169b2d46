import JSONText

/// One line of the doctor's report.
struct Finding: Hashable, Sendable {
    /// The greater, the worse.
    enum Verdict: String, Comparable, Sendable, CaseIterable {
        case ok, warn, fail

        static func < (left: Verdict, right: Verdict) -> Bool {
            (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
        }
    }

    let verdict: Verdict
    /// What was looked at, by a name that programs may look for.
    let check: String
    let found: String
    /// Nil where what was found is well.
    var expected: String?
    /// What to do about it.
    var advice: String?

    static func ok(_ check: String, _ found: String) -> Finding { Finding(verdict: .ok, check: check, found: found) }

    static func warn(_ check: String, _ found: String, expected: String, _ advice: String) -> Finding {
        Finding(verdict: .warn, check: check, found: found, expected: expected, advice: advice)
    }

    static func fail(_ check: String, _ found: String, expected: String, _ advice: String) -> Finding {
        Finding(verdict: .fail, check: check, found: found, expected: expected, advice: advice)
    }
}

extension Finding: CustomStringConvertible {
    var description: String {
        let verdict = verdict.rawValue + String(repeating: " ", count: 4 - verdict.rawValue.count)
        guard let expected else { return "\(verdict)  \(check): \(found)" }
        return "\(verdict)  \(check): found \(found); expected \(expected)" + (advice.map { "; \($0)" } ?? "")
    }
}

/// All that the doctor found.
struct DoctorReport: Sendable {
    let findings: [Finding]

    var worst: Finding.Verdict { findings.map(\.verdict).max() ?? .ok }

    /// - Parameter isStrict: whether a warning is as bad as a failure.
    func exitCode(isStrict: Bool) -> Int32 { worst > (isStrict ? .ok : .warn) ? 1 : 0 }

    private func count(_ verdict: Finding.Verdict) -> Int { findings.count { $0.verdict == verdict } }

    /// A line each, and one that counts them.
    var lines: [String] {
        findings.map(\.description) + ["\(count(.ok)) ok, \(count(.warn)) to look at, \(count(.fail)) wrong"]
    }

    var json: String {
        var writer = JSONWriter(capacity: 8192)
        writer.object { writer in
            writer.member("status", worst.rawValue)
            writer.member("version", Carillon.version)
            writer.name("findings")
            writer.array { writer in
                for finding in findings {
                    writer.object { writer in
                        writer.member("verdict", finding.verdict.rawValue)
                        writer.member("check", finding.check)
                        writer.member("found", finding.found)
                        writer.member("expected", ifPresent: finding.expected)
                        writer.member("advice", ifPresent: finding.advice)
                    }
                }
            }
        }
        return writer.text
    }
}
