package import Recurrence

/// A switch of a schedule into the shadow or out of it: the first after one of its executions was claimed, of which the
/// claimant that was lost can have known nothing, or said nothing.
///
/// What is due before a switch is what it was claimed as: the other scheduler was at work until then, or is from then on.
/// What is due behind it, and was sent by nobody, is what the schedule is now.
package struct ShadowSwitch: Hashable, Sendable {
    package let isInto: Bool
    package let at: Instant

    package init(isInto: Bool, at: Instant) {
        self.isInto = isInto
        self.at = at
    }

    /// It was claimed in shadow: nobody can have sent it.
    package var wasShadow: Bool { !isInto }

    /// Whether whoever rescues an execution publishes nothing of it.
    /// - Parameters:
    ///   - sendableAt: from when on its claimant could have sent it: claimed, and due.
    ///   - mayHaveBeenSent: its claimant lived so long.
    ///   - isShadow: the schedule is in shadow now.
    package func shadows(sendableAt: Instant, mayHaveBeenSent: Bool, isShadow: Bool) -> Bool {
        if wasShadow { return isShadow || sendableAt <= at }
        return isShadow && sendableAt > at && !mayHaveBeenSent
    }
}
