import NATSClient
import SchedulerCore

/// What an instance holds, from the claim to the record: by schedule, and counted.
///
/// What belongs to silent targets is counted apart, so that a target that never answers does not use up what everybody
/// lives on.
struct HeldFires {
    /// Executions and their bytes.
    struct Load: Hashable, Sendable {
        var count = 0
        var bytes = 0

        static func += (load: inout Load, fire: Fire) {
            load.count += 1
            load.bytes += fire.heldBytes
        }

        static func -= (load: inout Load, fire: Fire) {
            load.count -= 1
            load.bytes -= fire.heldBytes
        }
    }

    /// Open executions at which a schedule is crowded.
    private let crowd: Int
    private var open: [ScheduleID: [Fire]] = [:]
    /// Schedules that have a crowd open, until half of it has gone.
    private var crowded: Set<ScheduleID> = []
    private(set) var total = Load()
    /// The part of `total` whose targets were silent.
    private(set) var silent = Load()
    /// The part of `total` whose replies are awaited, without those of silent targets: as long as workers may take.
    private(set) var asked = Load()

    init(crowd: Int) { self.crowd = crowd }

    var all: some Sequence<Fire> { open.values.joined() }

    func fires(of schedule: ScheduleID) -> [Fire] { open[schedule] ?? [] }

    mutating func insert(_ fire: Fire) {
        let id = fire.schedule.id
        // Whichever of the open ones ends last asks whether the schedule is exhausted.
        if fire.isLast { for earlier in open[id] ?? [] { earlier.isLast = true } }
        let append = { (fires: inout [Fire]) -> Int in
            fires.append(fire)
            return fires.count
        }
        if append(&open[id, default: []]) >= crowd { crowded.insert(id) }
        total += fire
    }

    mutating func remove(_ fire: Fire) {
        let id = fire.schedule.id
        guard let slot = open.index(forKey: id), let place = open.values[slot].firstIndex(where: { $0 === fire })
        else { return }
        // In place: a schedule may have thousands.
        let left = open.values[slot].count - 1
        open.values[slot].swapAt(place, left)
        open.values[slot].removeLast()
        if left == 0 { open.remove(at: slot) }
        total -= fire
        if fire.isSilent {
            fire.isSilent = false
            silent -= fire
        }
        heard(fire)
        if !crowded.isEmpty, left <= crowd / 2 { crowded.remove(id) }
    }

    /// The fire's target was silent: it is counted apart from now on.
    mutating func setApart(_ fire: Fire) {
        guard !fire.isSilent else { return }
        fire.isSilent = true
        silent += fire
    }

    /// The fire was sent as a request.
    mutating func ask(_ fire: Fire) {
        guard !fire.isAsked, !fire.isSilent else { return }
        fire.isAsked = true
        asked += fire
    }

    /// Its reply is awaited no longer.
    mutating func heard(_ fire: Fire) {
        guard fire.isAsked else { return }
        fire.isAsked = false
        asked -= fire
    }

    /// Schedules with a crowd open, of those that are chosen.
    func crowded(where isChosen: (CompiledSchedule) -> Bool) -> [ScheduleID] {
        crowded.filter { id in open[id]?.first.map { isChosen($0.schedule) } ?? false }
    }
}
