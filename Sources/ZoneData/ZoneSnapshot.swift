import Glibc

/// How a zoneinfo folder looks at one moment: its lists, and a stamp and a hash of every zone's file.
struct ZoneSnapshot {
    let catalog: ZoneCatalog
    private let lists: [String: FileStamp]
    private let files: [String: (stamp: FileStamp, hash: UInt64)]

    /// What tells a file from its successor without reading it.
    private struct FileStamp: Hashable {
        let inode: UInt
        let size: Int
        let seconds: Int
        let nanoseconds: Int

        init?(path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            inode = status.st_ino
            size = status.st_size
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    /// Reads what has another stamp than in `previous`: as a rule nothing, and then this costs a `stat` for each zone,
    /// about a millisecond for all.
    init(root: String, previous: ZoneSnapshot?) {
        var lists: [String: FileStamp] = [:]
        // Stamped before they are read: what is replaced in between is read again the next time.
        for name in ZoneCatalog.fileNames { lists[name] = FileStamp(path: root + "/" + name) }
        catalog = previous.flatMap { $0.lists == lists ? $0.catalog : nil } ?? ZoneCatalog(root: root)
        self.lists = lists
        var files: [String: (stamp: FileStamp, hash: UInt64)] = [:]
        for name in catalog.names {
            let path = root + "/" + name
            guard let stamp = FileStamp(path: path) else { continue }
            if let known = previous?.files[name], known.stamp == stamp {
                files[name] = known
            } else if let bytes = contentsOfFile(atPath: path, limit: ZoneDatabase.largestFile) {
                files[name] = (stamp, Self.hash(bytes))
            }
        }
        self.files = files
    }

    /// The zones whose data differ, that came or that went.
    func changes(since previous: ZoneSnapshot) -> Set<String> {
        let names = Set(files.keys).union(previous.files.keys)
        return names.filter { files[$0]?.hash != previous.files[$0]?.hash }
    }

    /// One number for all zones' data, whatever the machine.
    var fingerprint: UInt64 {
        var all = Self.offsetBasis
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            all = Self.hash(Array(name.utf8), from: all)
            all = Self.hash(withUnsafeBytes(of: file.hash.littleEndian) { Array($0) }, from: all)
        }
        return all
    }

    /// FNV-1a, 64 bits: tells releases apart; nobody gains by forging one.
    private static let offsetBasis: UInt64 = 0xCBF2_9CE4_8422_2325

    private static func hash(_ bytes: [UInt8], from basis: UInt64 = offsetBasis) -> UInt64 {
        bytes.withUnsafeBufferPointer { buffer in
            var hash = basis
            for byte in buffer { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            return hash
        }
    }
}
