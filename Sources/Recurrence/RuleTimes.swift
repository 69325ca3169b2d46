/// Times of a day as sets of hours, minutes and seconds, in seconds since midnight.
struct TimeMask: Hashable, Sendable {
    let hours: UInt32
    let minutes: UInt64
    let seconds: UInt64

    var count: Int { hours.nonzeroBitCount * minutes.nonzeroBitCount * seconds.nonzeroBitCount }

    func first(from time: Int) -> Int? {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60)
        if hours.hasBit(hour) {
            if minutes.hasBit(minute), let found = seconds.bit(atOrAfter: second) {
                return hour * 3600 + minute * 60 + found
            }
            if let found = minutes.bit(atOrAfter: minute + 1) {
                return hour * 3600 + found * 60 + seconds.lowestBit
            }
        }
        guard let found = hours.bit(atOrAfter: hour + 1) else { return nil }
        return found * 3600 + minutes.lowestBit * 60 + seconds.lowestBit
    }

    func last(through time: Int) -> Int? {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60)
        if hours.hasBit(hour) {
            if minutes.hasBit(minute), let found = seconds.bit(before: second + 1) {
                return hour * 3600 + minute * 60 + found
            }
            if let found = minutes.bit(before: minute) {
                return hour * 3600 + found * 60 + seconds.highestBit
            }
        }
        guard let found = hours.bit(before: hour) else { return nil }
        return found * 3600 + minutes.highestBit * 60 + seconds.highestBit
    }

    func count(before time: Int) -> Int {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60)
        var count = hours.bitCount(before: hour) * minutes.nonzeroBitCount
        guard hours.hasBit(hour) else { return count * seconds.nonzeroBitCount }
        count += minutes.bitCount(before: minute)
        return count * seconds.nonzeroBitCount + (minutes.hasBit(minute) ? seconds.bitCount(before: second) : 0)
    }

    /// The time that `index` others precede.
    func time(at index: Int) -> Int {
        let (minuteCount, secondCount) = (minutes.nonzeroBitCount, seconds.nonzeroBitCount)
        let hour = UInt64(hours).bit(at: index / (minuteCount * secondCount))
        return hour * 3600 + minutes.bit(at: index / secondCount % minuteCount) * 60
            + seconds.bit(at: index % secondCount)
    }
}

extension UInt64 {
    /// The set bit that `rank` others lie below.
    fileprivate func bit(at rank: Int) -> Int {
        var rest = self
        for _ in 0..<rank { rest &= rest - 1 }
        return rest.lowestBit
    }
}

/// At which times of a day on which it recurs a rule recurs, in seconds since midnight.
enum RuleTimes {
    /// The same times on each day.
    case product(TimeMask)
    /// The same few times on each day, ascending: those that `BYSETPOS` leaves of a daily rule.
    case list([Int])
    /// Steps of hours, minutes or seconds.
    case stepped(SteppedTimes)

    init(_ rule: RecurrenceRule, start: Int) {
        let time = start - floorDivide(start, CivilDate.secondsPerDay) * CivilDate.secondsPerDay
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60)
        let hours = rule.hours == 0 ? 1 << UInt32(hour) : rule.hours
        let minutes = rule.minutes == 0 ? 1 << UInt64(minute) : rule.minutes
        let seconds = rule.seconds == 0 ? 1 << UInt64(second) : rule.seconds
        guard rule.frequency.isShorterThanDay else {
            let mask = TimeMask(hours: hours, minutes: minutes, seconds: seconds)
            guard rule.frequency == .daily, !rule.positions.isEmpty else {
                self = .product(mask)
                return
            }
            self = .list(rule.positions.chosenIndices(of: mask.count).map { mask.time(at: $0) })
            return
        }
        self = .stepped(SteppedTimes(rule, start: start, minutes: minutes, seconds: seconds))
    }

    func first(day: Int, from time: Int) -> Int? {
        switch self {
        case .product(let mask): mask.first(from: time)
        case .list(let times): times.first { $0 >= time }
        case .stepped(let steps): steps.first(day: day, from: time)
        }
    }

    func last(day: Int, through time: Int) -> Int? {
        switch self {
        case .product(let mask): mask.last(through: time)
        case .list(let times): times.last { $0 <= time }
        case .stepped(let steps): steps.last(day: day, through: time)
        }
    }

    func count(day: Int, before time: Int) -> Int {
        switch self {
        case .product(let mask): mask.count(before: time)
        case .list(let times): times.count { $0 < time }
        case .stepped(let steps): steps.count(day: day, before: time)
        }
    }

    /// Whether no day has a time: `BYSETPOS` chose none.
    var isEmpty: Bool {
        switch self {
        case .product: false
        case .list(let times): times.isEmpty
        case .stepped(let steps): steps.isEmpty
        }
    }

    /// How many times each day has, nil where that differs.
    var countOfDay: Int? {
        switch self {
        case .product(let mask): mask.count
        case .list(let times): times.count
        case .stepped(let steps): steps.countOfDay
        }
    }
}

extension [Int] {
    /// The indices that positions choose of `count` elements, ascending: 1 is the first, -1 the last.
    func chosenIndices(of count: Int) -> [Int] {
        Set(map { $0 > 0 ? $0 - 1 : count + $0 }.filter { (0..<count).contains($0) }).sorted()
    }
}
