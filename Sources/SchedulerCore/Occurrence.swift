import Crypto
package import Recurrence

/// Where an occurrence comes from; part of its identity.
package enum Origin: String, Sendable, CaseIterable {
    case time
    case manual
    case backfill
    case after
    case event
    case retry

    /// The schedule made it by itself, by its times or by what it listens to: `max_runs` counts those, and what ends with
    /// the timing is among them.
    package var isOwn: Bool { self == .time || self == .event }
}

/// What a fired message calls its cause in `Scheduler-Trigger`.
package enum Trigger: String, Sendable, CaseIterable {
    case cron
    case interval
    case once
    case immediate
    case rrule
    case manual
    case backfill
    case catchup
    case after
    /// A message came.
    case event
    /// No message came.
    case absence
}

/// One (schedule, scheduled instant) pair; its hash is the execution's id.
package struct Occurrence: Hashable, Sendable {
    package let schedule: ScheduleID
    /// Starts at 1 and grows with each edit of the timing, so that an edited schedule never meets its old occurrences.
    package let generation: Int32
    package let origin: Origin
    /// The nominal instant, before any spread.
    package let scheduledFor: Instant
    /// 0 for `time`; tells two occurrences of another origin apart that share an instant.
    package let ordinal: Int64

    package init(
        schedule: ScheduleID, generation: Int32, origin: Origin = .time, scheduledFor: Instant, ordinal: Int64 = 0
    ) {
        self.schedule = schedule
        self.generation = generation
        self.origin = origin
        self.scheduledFor = scheduledFor
        self.ordinal = ordinal
    }

    /// The identity's SHA-256 under 48 bits of `scheduledFor`. Fixed for ever: rows and messages carry it.
    package var executionID: ExecutionID {
        var hasher = SHA256()
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { buffer in
            buffer.storeBytes(of: schedule.uuid.high.bigEndian, toByteOffset: 0, as: UInt64.self)
            buffer.storeBytes(of: schedule.uuid.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            buffer.storeBytes(of: Int64(generation).bigEndian, toByteOffset: 16, as: Int64.self)
            buffer.storeBytes(of: origin.identityCode.bigEndian, toByteOffset: 24, as: UInt64.self)
            buffer.storeBytes(of: scheduledFor.milliseconds.bigEndian, toByteOffset: 32, as: Int64.self)
            buffer.storeBytes(of: ordinal.bigEndian, toByteOffset: 40, as: Int64.self)
            hasher.update(bufferPointer: UnsafeRawBufferPointer(buffer))
        }
        let (first, second) = hasher.finalize().leadingWords
        let time = UInt64(max(0, scheduledFor.milliseconds)) << 16
        return ExecutionID(
            UUIDValue(high: time | 0x8000 | (first & 0x0FFF), low: (second & (UInt64.max >> 2)) | (1 << 63)))
    }
}

extension Origin {
    /// The number that goes into the identity's hash; a new case takes the next one.
    fileprivate var identityCode: UInt64 {
        switch self {
        case .time: 0
        case .manual: 1
        case .backfill: 2
        case .after: 3
        case .event: 4
        case .retry: 5
        }
    }
}

extension SHA256Digest {
    /// The digest's first 16 bytes as two big-endian words.
    var leadingWords: (UInt64, UInt64) {
        withUnsafeBytes { bytes in
            (
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
