import ArgumentParser
import Glibc

/// The files that a command line names.
enum SourceFiles {
    struct File {
        /// As messages call it.
        let name: String
        let text: String
    }

    private static let endings = [".yaml", ".yml", ".json"]

    /// Reads files; of a folder those in it that end in .yaml, .yml or .json, by their names; `-` is standard input.
    /// - Throws: exit code 1, with a line for each that cannot be read.
    static func read(_ paths: [String]) throws -> [File] {
        var files: [File] = []
        var failed = false
        for path in paths {
            for path in expanded(path) {
                if let text = CommandLineEnvironment.contents(of: path == "-" ? "/dev/stdin" : path) {
                    files.append(File(name: path == "-" ? "standard input" : path, text: text))
                } else {
                    Console.error("\(path): expected a readable file of UTF-8 text, or a folder of such")
                    failed = true
                }
            }
        }
        if failed { throw ExitCode(1) }
        return files
    }

    private static func expanded(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [path] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix("."), endings.contains(where: name.hasSuffix) { names.append(name) }
        }
        let base = path.hasSuffix("/") ? path : path + "/"
        return names.sorted().map { base + $0 }
    }

    /// Writes a text whole, or not at all: beside the file first, then in its place.
    static func write(_ text: String, to path: String) throws {
        let bytes = Array(text.utf8)
        let output = try OutputFile(path)
        try output.write(bytes)
        try output.commit()
    }
}

/// A file that appears when it is whole.
final class OutputFile {
    private let path: String
    private let beside: String
    private var file: Int32

    init(_ path: String) throws {
        self.path = path
        beside = "\(path).\(getpid()).part"
        file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            Console.error("\(path): expected to write it, got \(String(cString: strerror(errno)))")
            throw ExitCode(1)
        }
    }

    deinit {
        guard file >= 0 else { return }
        close(file)
        unlink(beside)
    }

    func write(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress?.advanced(by: start), bytes.count - start)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            start += count
        }
    }

    func commit() throws {
        guard fsync(file) == 0, rename(beside, path) == 0 else { throw failure() }
        close(file)
        file = -1
    }

    private func failure() -> ExitCode {
        Console.error("\(path): expected to write it, got \(String(cString: strerror(errno)))")
        return ExitCode(1)
    }
}
