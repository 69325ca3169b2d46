import CNATS

/// libnats messages that nobody needs any more, destroyed a burst at a time.
///
/// Destroying one wakes libnats' collector thread if that has nothing else to do: one by one, it was a switch of threads
/// a message, for those that are sent as for those that came.
struct SpentMessages: ~Copyable, Sendable {
    private static let most = 64
    private static let mostBytes = 65_536

    private var addresses: [UInt] = []
    private var bytes = 0

    init() {}

    deinit { for address in addresses { natsMsg_Destroy(OpaquePointer(bitPattern: address)) } }

    /// - Parameters:
    ///   - address: of a `natsMsg` that is nobody else's.
    ///   - size: about what it takes.
    mutating func add(_ address: UInt, size: Int) {
        addresses.append(address)
        bytes += size
        if addresses.count >= Self.most || bytes > Self.mostBytes { destroyAll() }
    }

    mutating func destroyAll() {
        for address in addresses { natsMsg_Destroy(OpaquePointer(bitPattern: address)) }
        addresses.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
