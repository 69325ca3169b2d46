/// The contents of a TZif file (RFC 9636), version 2 or later: its 64-bit block and its footer.
struct ZoneFile {
    /// The local time type before the first transition.
    var initialType: LocalTimeType
    /// Strictly ascending; the type holds from `at` (seconds since 1970) on.
    var transitions: [(at: Int, type: LocalTimeType)]
    /// The rule after the last transition; nil where the file leaves it open.
    var footer: PosixZone?

    init(initialType: LocalTimeType) {
        self.initialType = initialType
        transitions = []
    }

    /// Reads a file's bytes; the thrown text completes the sentence "the data …".
    init(parsing bytes: [UInt8]) throws(Malformation) {
        let first = try Header(bytes, at: 0)
        guard first.version >= UInt8(ascii: "2") else { throw "is of version 1, whose times end in 2038" }
        // The block after the first header holds 32-bit times for old readers: stepped over.
        let header = try Header(bytes, at: Header.size + first.blockSize(timeSize: 4))
        guard header.leapCount == 0 else { throw "counts leap seconds, which Unix time does not" }
        guard header.typeCount > 0 else { throw "has no local time types" }
        let end = header.start + Header.size + header.blockSize(timeSize: 8)
        guard end <= bytes.count else { throw "ends within its 64-bit block" }

        let block = Block(bytes: bytes, header: header)
        let types = try block.types()
        initialType = types[0]
        transitions = try block.transitions(types: types)
        footer = try ZoneFile.footer(bytes[end...])
    }

    /// Says what is wrong with the data, as the end of a sentence.
    struct Malformation: Error, ExpressibleByStringLiteral {
        let text: String
        init(stringLiteral text: String) { self.text = text }
    }

    private static func footer(_ bytes: ArraySlice<UInt8>) throws(Malformation) -> PosixZone? {
        let newline = UInt8(ascii: "\n")
        guard bytes.first == newline, let end = bytes.dropFirst().firstIndex(of: newline) else {
            throw "has no footer between two line ends"
        }
        let text = bytes[(bytes.startIndex + 1)..<end]
        if text.isEmpty { return nil }
        guard let rule = PosixZone(parsing: text) else { throw "has a footer that is no POSIX TZ rule" }
        return rule
    }
}

// MARK: - Binary layout

/// The 44 bytes in front of a data block.
private struct Header {
    static let size = 44

    let start: Int
    let version: UInt8
    let utIndicatorCount: Int
    let standardIndicatorCount: Int
    let leapCount: Int
    let timeCount: Int
    let typeCount: Int
    let characterCount: Int

    init(_ bytes: [UInt8], at start: Int) throws(ZoneFile.Malformation) {
        guard bytes.count >= start + Header.size, bytes[start..<start + 4].elementsEqual("TZif".utf8) else {
            throw "does not begin a block with the four bytes TZif"
        }
        self.start = start
        version = bytes[start + 4]
        let counts = (0..<6).map { bigEndian(bytes, at: start + 20 + $0 * 4, size: 4) }
        // A block with more entries than the file has bytes is cut short; saying so here keeps sums small.
        guard counts.allSatisfy({ (0...bytes.count).contains($0) }) else { throw "ends within its 64-bit block" }
        utIndicatorCount = counts[0]
        standardIndicatorCount = counts[1]
        leapCount = counts[2]
        timeCount = counts[3]
        typeCount = counts[4]
        characterCount = counts[5]
    }

    /// The bytes that follow the header, with times of 4 or 8 bytes.
    func blockSize(timeSize: Int) -> Int {
        timeCount * (timeSize + 1) + typeCount * 6 + characterCount + leapCount * (timeSize + 4)
            + standardIndicatorCount + utIndicatorCount
    }
}

/// The 64-bit block, known to lie within the bytes.
private struct Block {
    let bytes: [UInt8]
    let header: Header

    private var timesStart: Int { header.start + Header.size }
    private var indexesStart: Int { timesStart + header.timeCount * 8 }
    private var typesStart: Int { indexesStart + header.timeCount }
    private var namesStart: Int { typesStart + header.typeCount * 6 }

    func types() throws(ZoneFile.Malformation) -> [LocalTimeType] {
        var types: [LocalTimeType] = []
        for index in 0..<header.typeCount {
            let start = typesStart + index * 6
            let offset = bigEndian(bytes, at: start, size: 4)
            // RFC 9636 §3.2: more than 25 hours west or 26 east is to be refused.
            guard (-89_999...93_599).contains(offset) else { throw "has an offset of more than 25 hours" }
            let nameIndex = Int(bytes[start + 5])
            guard nameIndex < header.characterCount else { throw "has an abbreviation beyond its table" }
            let name = bytes[(namesStart + nameIndex)..<(namesStart + header.characterCount)].prefix { $0 != 0 }
            types.append(
                LocalTimeType(
                    offset: offset, isDST: bytes[start + 4] != 0, abbreviation: String(decoding: name, as: UTF8.self)))
        }
        return types
    }

    func transitions(types: [LocalTimeType]) throws(ZoneFile.Malformation) -> [(at: Int, type: LocalTimeType)] {
        var transitions: [(at: Int, type: LocalTimeType)] = []
        transitions.reserveCapacity(header.timeCount)
        for index in 0..<header.timeCount {
            let at = bigEndian(bytes, at: timesStart + index * 8, size: 8)
            let typeIndex = Int(bytes[indexesStart + index])
            guard at < SegmentTable.endOfTime else { throw "has a transition beyond any calendar" }
            guard typeIndex < types.count else { throw "has a transition to a type it does not have" }
            if let last = transitions.last, last.at >= at { throw "has transitions out of order" }
            transitions.append((at, types[typeIndex]))
        }
        return transitions
    }
}

/// A signed number of 4 or 8 bytes, most significant first.
private func bigEndian(_ bytes: [UInt8], at start: Int, size: Int) -> Int {
    var value: Int = bytes[start] >= 0x80 ? -1 : 0
    for index in start..<start + size { value = value << 8 | Int(bytes[index]) }
    return value
}
