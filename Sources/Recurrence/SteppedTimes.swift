/// The times of a rule that recurs each so many hours, minutes or seconds of local time, counted from its start.
///
/// The approach: a day is a row of units, numbered on through all days. The start's unit and every `interval`th
/// after it are steps; a step that begins at an allowed time recurs, at the offsets within it that the shorter parts
/// name. Which days have such a step at all repeats with the days, so a search opens no day in vain.
struct SteppedTimes {
    /// The length of a unit in seconds: 3600, 60 or 1.
    private let unit: Int
    private let interval: Int
    /// The unit of the start, counted from 1970.
    private let origin: Int
    /// Where units may begin.
    private let mask: TimeMask
    /// When it recurs within a unit, in seconds, ascending.
    private let offsets: [Int]
    private let unitsPerDay: Int

    init(_ rule: RecurrenceRule, start: Int, minutes: UInt64, seconds: UInt64) {
        let hours = rule.hours == 0 ? UInt32(1 << 24 - 1) : rule.hours
        let allSixty = UInt64(1 << 60 - 1)
        let within: TimeMask
        switch rule.frequency {
        case .hourly:
            unit = 3600
            mask = TimeMask(hours: hours, minutes: 1, seconds: 1)
            within = TimeMask(hours: 1, minutes: minutes, seconds: seconds)
        case .minutely:
            unit = 60
            mask = TimeMask(hours: hours, minutes: rule.minutes == 0 ? allSixty : rule.minutes, seconds: 1)
            within = TimeMask(hours: 1, minutes: 1, seconds: seconds)
        default:
            unit = 1
            mask = TimeMask(
                hours: hours, minutes: rule.minutes == 0 ? allSixty : rule.minutes,
                seconds: rule.seconds == 0 ? allSixty : rule.seconds)
            within = TimeMask(hours: 1, minutes: 1, seconds: 1)
        }
        interval = rule.interval
        origin = floorDivide(start, unit)
        unitsPerDay = CivilDate.secondsPerDay / unit
        let chosen =
            rule.positions.isEmpty ? Array(0..<within.count) : rule.positions.chosenIndices(of: within.count)
        offsets = chosen.map { within.time(at: $0) }
    }

    func first(day: Int, from time: Int) -> Int? {
        guard let last = offsets.last, var step = firstStep(day: day, from: time / unit) else { return nil }
        if step * unit + last < time {
            guard let next = firstStep(day: day, from: step + 1) else { return nil }
            step = next
        }
        return offsets.first { step * unit + $0 >= time }.map { step * unit + $0 }
    }

    func last(day: Int, through time: Int) -> Int? {
        guard let first = offsets.first, var step = lastStep(day: day, through: time / unit) else { return nil }
        if step * unit + first > time {
            guard let before = lastStep(day: day, through: step - 1) else { return nil }
            step = before
        }
        return offsets.last { step * unit + $0 <= time }.map { step * unit + $0 }
    }

    func count(day: Int, before time: Int) -> Int {
        let end = time / unit
        var count = stepCount(day: day, before: end) * offsets.count
        if time > end * unit, firstStep(day: day, from: end) == end {
            count += offsets.count { end * unit + $0 < time }
        }
        return count
    }

    /// Whether no step has a time.
    var isEmpty: Bool { offsets.isEmpty }

    /// How many times each day has, nil where that differs.
    var countOfDay: Int? {
        unitsPerDay % interval == 0 ? count(day: 0, before: CivilDate.secondsPerDay) : nil
    }

    /// Nil where every day has a step.
    var phase: DayPhase? {
        let isFull = mask.count == unitsPerDay
        if isFull, interval <= unitsPerDay { return nil }
        let common = greatestCommonDivisor(interval, unitsPerDay)
        let cycle = interval / common
        // day × unitsPerDay + unit ≡ origin (mod interval): solved for the day, for each unit that allows it.
        let factor = unitsPerDay / common % cycle
        let inverse = (0..<cycle).first { $0 * factor % cycle == 1 % cycle } ?? 0
        var residues = [Bool](repeating: false, count: cycle)
        var time = mask.first(from: 0)
        while let begin = time {
            let distance = origin - begin / unit
            if distance % common == 0 {
                let residue = (distance / common) % cycle * inverse % cycle
                residues[residue < 0 ? residue + cycle : residue] = true
            }
            time = begin + unit < CivilDate.secondsPerDay ? mask.first(from: begin + unit) : nil
        }
        return residues.allSatisfy(\.self) ? nil : DayPhase(residues: residues)
    }

    // MARK: - Steps of a day, by their unit

    private func firstStep(day: Int, from unitOfDay: Int) -> Int? {
        var step = aligned(day: day, from: unitOfDay)
        while step < unitsPerDay, let allowed = mask.first(from: step * unit) {
            if allowed == step * unit { return step }
            step = aligned(day: day, from: allowed / unit)
        }
        return nil
    }

    private func lastStep(day: Int, through unitOfDay: Int) -> Int? {
        // Nothing lies beyond the day; before it the unit is negative.
        var step = unitOfDay - distance(day: day, to: unitOfDay)
        while step >= 0, let allowed = mask.last(through: step * unit) {
            if allowed == step * unit { return step }
            step = allowed / unit - distance(day: day, to: allowed / unit)
        }
        return nil
    }

    private func stepCount(day: Int, before unitOfDay: Int) -> Int {
        if interval == 1 { return mask.count(before: unitOfDay * unit) }
        if mask.count == unitsPerDay {
            let first = aligned(day: day, from: 0)
            return first < unitOfDay ? (unitOfDay - 1 - first) / interval + 1 : 0
        }
        var count = 0
        var step = firstStep(day: day, from: 0)
        while let found = step, found < unitOfDay {
            count += 1
            step = firstStep(day: day, from: found + 1)
        }
        return count
    }

    private func aligned(day: Int, from unitOfDay: Int) -> Int {
        let distance = distance(day: day, to: unitOfDay)
        return distance == 0 ? unitOfDay : unitOfDay + interval - distance
    }

    /// Units from the last step at or before a unit of a day to it.
    private func distance(day: Int, to unitOfDay: Int) -> Int {
        let rest = (day * unitsPerDay + unitOfDay - origin) % interval
        return rest < 0 ? rest + interval : rest
    }
}

private func greatestCommonDivisor(_ first: Int, _ second: Int) -> Int {
    var (larger, smaller) = (first, second)
    while smaller != 0 { (larger, smaller) = (smaller, larger % smaller) }
    return larger
}
