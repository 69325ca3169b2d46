package import SchedulerCore
import Synchronization

/// This process's `TARGETS_FILE`, looked at while it runs. It outlives incarnations.
package final class TargetsWatch: Sendable {
    package enum Reading: Sendable {
        /// As it was when it was read last.
        case unchanged
        case rules(TargetRules)
        /// It cannot be read, or what it says cannot be used.
        case fault(String)
    }

    private let read: @Sendable () -> Reading
    private let lastFault = Mutex<String?>(nil)

    /// - Parameter read: looks at the file; it is small, and on this machine.
    package init(_ read: @escaping @Sendable () -> Reading = { .unchanged }) { self.read = read }

    /// Why the file's present content is not in force; nil where it is.
    package var fault: String? { lastFault.withLock { $0 } }

    /// What a look found out; each fault is told once.
    package enum News: Sendable {
        case rules(TargetRules)
        case fault(String)
    }

    package func look() -> News? {
        switch read() {
        case .unchanged: return nil
        case .rules(let rules):
            lastFault.withLock { $0 = nil }
            return .rules(rules)
        case .fault(let fault):
            let isNew = lastFault.withLock { last in
                defer { last = fault }
                return last != fault
            }
            return isNew ? .fault(fault) : nil
        }
    }
}
