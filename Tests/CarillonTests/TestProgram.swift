import Glibc

/// The program under test, as built beside the tests.
enum TestProgram {
    static let path: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        // Under `swift test` the runner is the toolchain's; the working directory is the package's.
        return access(folder + "/carillon", X_OK) == 0 ? folder + "/carillon" : ".build/debug/carillon"
    }()
}
