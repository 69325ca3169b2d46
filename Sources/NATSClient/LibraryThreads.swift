import CLinux
import CNATS
import Glibc

/// The threads that libnats keeps for the whole process: its timers, its callbacks, and the collector that frees every
/// message that is destroyed.
///
/// They are started as batch threads, and so never interrupt another when they wake. As ordinary ones the collector took
/// the processor from whoever destroyed a message, for each message: two switches of threads to free a hundred bytes.
enum LibraryThreads {
    /// What starting them gave; they are started once, by whoever asks first.
    static let status: natsStatus = {
        // A new thread has its maker's policy.
        let isBatch = sched_getscheduler(0) == SCHED_OTHER && carillon_set_batch(1) == 0
        defer { if isBatch { _ = carillon_set_batch(0) } }
        return nats_Open(-1)
    }()
}
