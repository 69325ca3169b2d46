import Glibc

/// The bytes of a regular file, nil if it cannot be read or is larger than `limit`.
func contentsOfFile(atPath path: String, limit: Int) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= limit else {
        return nil
    }
    // One byte more than the file should have: a read that fills it shows that the file grew meanwhile.
    let capacity = Int(status.st_size) + 1
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
        while count < capacity {
            let size = read(descriptor, buffer.baseAddress.map { $0 + count }, capacity - count)
            if size < 0 && errno == EINTR { continue }
            failed = size < 0
            if size <= 0 { return }
            count += size
        }
    }
    return failed || bytes.count == capacity ? nil : bytes
}
