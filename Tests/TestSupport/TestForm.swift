import Foundation

/// How much a run tests, and with which random numbers.
package enum TestForm {
    /// `LONG_TESTS=1` asks for the full counts.
    package static let isLong = ProcessInfo.processInfo.environment["LONG_TESTS"] != nil

    /// Another one for each run; the printed line repeats it.
    package static let seed: UInt64 = {
        let given = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...0xFFFF_FFFF)
        print("TEST_SEED=\(seed) repeats this run's random cases")
        return seed
    }()

    package static func count(_ short: Int, long: Int) -> Int { isLong ? long : short }

    /// Random numbers that depend on the seed and the purpose only, whichever tests run before.
    package static func generator(for purpose: String) -> SeededGenerator {
        // FNV-1a: two purposes must not walk through the same numbers.
        let hash = purpose.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return SeededGenerator(seed: seed ^ hash)
    }
}
