import SchedulerCore
import Testing

private let second: Int64 = 1_000_000_000
private let lease = 5 * second

private func member(_ number: UInt64) -> InstanceID {
    InstanceID(UUIDValue(high: 0x0190_0000_0000_7000 &+ number &* 0x1_0000_0001, low: 1 << 63 | number &* 0x9E37_79B9))
}

extension MemberTable {
    /// A renewal of this member's own, acknowledged and told by the watch at once.
    fileprivate mutating func sightHolds(at now: Int64) {
        ownLeaseAcknowledged(revision: UInt64(now + 1))
        sawOwnLease(revision: UInt64(now + 1), at: now)
    }
}

@Suite("What a member knows of the others' leases") struct MemberTableTests {
    private let own = member(1)
    private let peer = member(2)

    /// A table in whose sight the peer wrote at 0, with the sight held every second up to `until`.
    private func table(until: Int64) -> MemberTable {
        var table = MemberTable(lease: lease)
        table.sightHolds(at: 0)
        table.sawLease(of: own, revision: 1, at: 0)
        table.sawLease(of: peer, revision: 2, at: 0)
        for tick in stride(from: second, through: until, by: Int(second)) { table.sightHolds(at: tick) }
        return table
    }

    @Test("A lease that stood unchanged for a lease time, in sight, is suspected; itself never")
    func suspects() {
        let table = table(until: 5 * second)
        #expect(table.members == [own, peer])
        #expect(table.suspects(at: lease - 1, own: own).isEmpty)
        #expect(table.suspects(at: lease, own: own) == [peer])
    }

    @Test("A renewal begins the count anew; the same revision told again does not")
    func renews() {
        var table = table(until: 4 * second)
        table.sawLease(of: peer, revision: 2, at: 4 * second)
        #expect(table.suspects(at: lease, own: own) == [peer])
        table.sawLease(of: peer, revision: 3, at: 4 * second)
        #expect(table.suspects(at: lease, own: own).isEmpty)
        for tick in 5...9 as ClosedRange<Int64> { table.sightHolds(at: tick * second) }
        #expect(table.suspects(at: 9 * second, own: own) == [peer])
    }

    @Test("A key that was deleted is nobody's, and one that is missing in a snapshot neither")
    func ends() {
        var table = table(until: 5 * second)
        table.sawEnd(of: peer)
        #expect(table.members == [own] && table.suspects(at: lease, own: own).isEmpty)
        table.sawLease(of: peer, revision: 9, at: 5 * second)
        table.sawLease(of: member(3), revision: 10, at: 5 * second)
        table.sawAll([own, member(3)])
        #expect(table.members == [own, member(3)])
    }

    @Test("An outage of sight suspects nobody, and the count begins anew when it is over")
    func breaks() {
        var table = table(until: 4 * second)
        table.sightBroke()
        #expect(table.suspects(at: 60 * second, own: own).isEmpty)
        for tick in 60...64 as ClosedRange<Int64> { table.sightHolds(at: tick * second) }
        #expect(table.suspects(at: 64 * second, own: own).isEmpty)
        table.sightHolds(at: 65 * second)
        #expect(table.suspects(at: 65 * second, own: own) == [peer])
    }

    @Test("A process that slept has seen nothing meanwhile: its first look back is a break")
    func slept() {
        var table = table(until: 4 * second)
        // It wakes after an hour: first without, then with a renewal of its own.
        #expect(table.suspects(at: 3600 * second, own: own).isEmpty)
        table.sightHolds(at: 3600 * second)
        #expect(table.suspects(at: 3600 * second, own: own).isEmpty)
        #expect(table.suspects(at: 3602 * second, own: own).isEmpty)
    }

    @Test("Sight that is older than half a lease is none")
    func growsOld() {
        let table = table(until: 5 * second)
        #expect(table.suspects(at: 5 * second + lease / 2, own: own) == [peer])
        #expect(table.suspects(at: 5 * second + lease / 2 + 1, own: own).isEmpty)
    }

    /// A node of a cluster died and took the watch with it; or the watch is on a node that is far behind.
    @Test("Renewals that are acknowledged and not told by the watch give no sight")
    func losesTheWatch() {
        var table = table(until: 3 * second)
        for tick in 4...6 as ClosedRange<Int64> {
            table.ownLeaseAcknowledged(revision: UInt64(tick * second))
            table.sawOwnLease(revision: UInt64(3 * second), at: tick * second)
        }
        #expect(table.suspects(at: 6 * second, own: own).isEmpty)
        // Told before it is acknowledged: that is the newest there is.
        table.sawOwnLease(revision: UInt64(7 * second), at: 7 * second)
        #expect(table.suspects(at: 7 * second, own: own).isEmpty)
    }

    @Test("Suspects come in one order, so that all rescuers go the same way")
    func orders() {
        var table = table(until: 0)
        for number in [7, 3, 5] as [UInt64] { table.sawLease(of: member(number), revision: number, at: 0) }
        for tick in 1...5 as ClosedRange<Int64> { table.sightHolds(at: tick * second) }
        #expect(table.suspects(at: lease, own: own) == [member(2), member(3), member(5), member(7)].sorted())
    }
}

@Suite("Who claims which partition") struct ShareTests {
    private func owners(_ members: Set<InstanceID>) -> [InstanceID?] {
        (0..<Share.partitions).map { Share.owner(of: $0, among: members) }
    }

    @Test("Each partition has one owner, and the members' parts are as even as chance", arguments: [1, 2, 3, 5, 8])
    func balances(count: Int) {
        let members = Set((1...UInt64(count)).map(member))
        let parts = members.map { Share.partitions(of: $0, among: members) }
        #expect(parts.flatMap(\.self).sorted() == (0..<256).map(Int16.init))
        let mean = 256.0 / Double(count)
        // Five standard deviations of a fair draw.
        let most = 5 * (mean * (1 - 1 / Double(count))).squareRoot()
        for part in parts { #expect(abs(Double(part.count) - mean) <= most) }
        for part in parts { #expect(part == part.sorted()) }
    }

    @Test("Who is no member owns nothing, and without members nobody does")
    func ownsNothing() {
        #expect(Share.partitions(of: member(9), among: [member(1)]).isEmpty)
        #expect(Share.owner(of: 0, among: []) == nil)
    }

    @Test("Only what the one that came or went owns changes hands")
    func movesLittle() {
        let four = Set((1...4).map(member))
        let newcomer = member(5)
        for (before, after) in zip(owners(four), owners(four.union([newcomer]))) where before != after {
            #expect(after == newcomer)
        }
        let gone = member(2)
        for (before, after) in zip(owners(four), owners(four.subtracting([gone]))) {
            #expect(before == gone ? after != gone : after == before)
        }
    }
}
