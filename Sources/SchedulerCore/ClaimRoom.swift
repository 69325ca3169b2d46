package import Recurrence

/// How many executions one claiming transaction may still open, and of which class (semantics.md §3). Pure.
///
/// A plan is taken whole or not at all: what does not fit stays in its timer, untouched, and the next claim decides over
/// it anew. So nothing is lost, and a limit such as `catchup_limit` is never counted twice. The first plan of a class is
/// taken even if it is larger than the room, as long as there is any: a plan that never fits would never fire. A class
/// that refused a plan is closed for the rest of the transaction, so that small plans do not pass a large one for ever.
package struct ClaimRoom: Hashable, Sendable {
    private struct Part: Hashable {
        var left: Int
        var isUsed = false
        var isClosed = false

        init(_ left: Int) {
            self.left = max(0, left)
            isClosed = left <= 0
        }

        func fits(_ need: Int) -> Bool { need == 0 || (!isClosed && (need <= left || !isUsed)) }

        mutating func take(_ need: Int) {
            guard need > 0 else { return }
            left = max(0, left - need)
            isUsed = true
            if left == 0 { isClosed = true }
        }
    }

    /// After so many refused plans the claim looks at no more: to plan what cannot be taken costs time as well.
    package static let mostRefusals = 100

    private var openings: Part
    private var classes: [Part]
    private var refusals = 0

    /// - Parameters:
    ///   - openings: executions in all.
    ///   - late: of those that an outage made late, within their grace.
    ///   - misfired: of those beyond their grace.
    package init(openings: Int, late: Int = .max, misfired: Int = .max) {
        self.openings = Part(openings)
        classes = [Part(.max), Part(late), Part(misfired)]
    }

    /// The executions that may still be opened, whatever their class.
    package var left: Int { openings.left }

    /// The transaction is as large as it may be, or what comes next has been refused often enough.
    package var isFull: Bool { openings.isClosed || refusals >= Self.mostRefusals }

    /// Something was due and did not fit.
    package var hasRefused: Bool { refusals > 0 }

    /// Takes a plan's fires in, if they fit.
    /// - Parameter late: what was due before this came late by an outage.
    /// - Returns: false if the plan must wait for another claim.
    package mutating func take(_ plan: ClaimPlan, late: Instant) -> Bool {
        var needs = [0, 0, 0]
        for fire in plan.fires { needs[fire.fireClass(late: late).rawValue] += 1 }
        guard openings.fits(plan.fires.count) else {
            openings.isClosed = true
            refusals += 1
            return false
        }
        let tight = needs.indices.filter { !classes[$0].fits(needs[$0]) }
        guard tight.isEmpty else {
            for index in tight { classes[index].isClosed = true }
            refusals += 1
            return false
        }
        openings.take(plan.fires.count)
        for (index, need) in needs.enumerated() { classes[index].take(need) }
        return true
    }
}

extension PlannedFire {
    /// What this fire yields to.
    /// - Parameter late: what was due before this came late by an outage.
    package func fireClass(late: Instant) -> FireClass {
        isMisfired ? .misfired : dueAt < late ? .withinGrace : .onTime
    }
}
