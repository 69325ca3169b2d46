import Glibc

/// The few things that private servers need of files.
package enum Filesystem {
    /// Makes a folder and those above it, where they are missing.
    package static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(LocalServerError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/\(part)"
            if mkdir(made, mode) != 0, errno != EEXIST {
                throw LocalServerError(.system, "expected to make the folder \(made), got \(lastError)")
            }
        }
    }

    /// Makes an empty folder under the system's temporary one that others can pass through, not list.
    package static func makeTemporaryFolder() throws(LocalServerError) -> String {
        let parent = environment("TMPDIR") ?? "/tmp"
        var template = Array("\(parent)/carillon-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw LocalServerError(.system, "expected to make a folder in \(parent), got \(lastError)")
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The database may run as another user, who must reach its own folder in here.
        chmod(path, 0o711)
        return path
    }

    /// Removes a file or a folder with all that is in it; what is not there is no error.
    package static func remove(_ path: String) {
        // `unlink` takes a symbolic link itself and refuses a folder: nothing outside of the folder is reached.
        guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
        for name in names(in: path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    package static func write(_ text: String, to path: String) throws(LocalServerError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LocalServerError(.system, "expected to write \(path), got \(lastError)") }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw LocalServerError(.system, "expected to write \(path), got \(lastError)")
        }
    }

    /// The last bytes of a file, at most so many; empty where there is none.
    package static func tail(_ path: String, bytes limit: Int = 4096) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let end = lseek(file, 0, Int32(SEEK_END))
        lseek(file, max(0, end - limit), Int32(SEEK_SET))
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = max(0, read(file, buffer.baseAddress, limit))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A program by its name: on the PATH, or where Debian keeps servers that it leaves off a user's PATH.
    package static func program(_ name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        let folders = (environment("PATH") ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"])
            .map { "\($0)/\(name)" }
            .first { access($0, X_OK) == 0 }
    }

    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The names in a folder; empty where there is none.
    package static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    static var lastError: String { String(cString: strerror(errno)) }
}
