/// Writes TZif files, whole or broken, for the reader's tests.
struct TZifBuilder {
    var version = UInt8(ascii: "2")
    var types: [(offset: Int32, isDST: Bool, nameIndex: UInt8)] = [(0, false, 0)]
    var names: [UInt8] = Array("STD\0DST\0".utf8)
    var transitions: [(at: Int64, type: UInt8)] = []
    var leapSeconds: UInt32 = 0
    var footer: String?

    init(footer: String? = "") { self.footer = footer }

    var bytes: [UInt8] {
        var bytes = header(times: 0, types: 1, names: 1, leaps: 0) + [0, 0, 0, 0, 0, 0, 0]
        bytes += header(
            times: UInt32(transitions.count), types: UInt32(types.count), names: UInt32(names.count), leaps: leapSeconds
        )
        for transition in transitions { bytes += bigEndian(transition.at) }
        bytes += transitions.map(\.type)
        for type in types { bytes += bigEndian(type.offset) + [type.isDST ? 1 : 0, type.nameIndex] }
        bytes += names
        bytes += [UInt8](repeating: 0, count: Int(leapSeconds) * 12)
        if let footer { bytes += Array("\n\(footer)\n".utf8) }
        return bytes
    }

    private func header(times: UInt32, types: UInt32, names: UInt32, leaps: UInt32) -> [UInt8] {
        Array("TZif".utf8) + [version] + [UInt8](repeating: 0, count: 15)
            + [0, 0, leaps, times, types, names].flatMap { bigEndian($0) }
    }

    private func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
