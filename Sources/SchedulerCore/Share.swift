/// Who claims what ahead of time: each of the 256 partitions belongs to one live member by rendezvous hashing.
///
/// A view, not a right: two members whose views differ race for rows under `SKIP LOCKED`, and one of them loses
/// nothing. When a member comes or goes only its own partitions move.
package struct Share: Hashable, Sendable {
    package static let partitions = 256

    /// The partitions that `member` owns among `members`, in rising order. Empty if it is not one of them.
    package static func partitions(of member: InstanceID, among members: Set<InstanceID>) -> [Int16] {
        guard members.contains(member) else { return [] }
        return (0..<partitions).compactMap { partition in
            owner(of: partition, among: members) == member ? Int16(partition) : nil
        }
    }

    /// The member with the highest weight for a partition; nil without members.
    package static func owner(of partition: Int, among members: Set<InstanceID>) -> InstanceID? {
        members.max { left, right in
            let weights = (weight(of: left, for: partition), weight(of: right, for: partition))
            return weights.0 == weights.1 ? left < right : weights.0 < weights.1
        }
    }

    private static func weight(of member: InstanceID, for partition: Int) -> UInt64 {
        var hash = member.uuid.high ^ member.uuid.low.byteSwapped ^ (UInt64(partition) &* 0x9E37_79B9_7F4A_7C15)
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}
