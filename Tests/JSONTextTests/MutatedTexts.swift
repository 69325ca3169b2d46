import TestSupport

/// Texts near the border between JSON and what is none: well-formed ones with a few bytes changed.
struct MutatedTexts {
    private var random: SeededGenerator
    private static let seeds: [[UInt8]] = [
        #"{"name":"nightly","cron_expression":"0 3 * * *","max_retries":3,"tags":["a","b"],"metadata":{"k":"v"}}"#,
        #"[0,-1,1.5,1e5,-0.0E+10,null,true,false,"",[],{}]"#,
        #"{"a":"\u0041\ud83d\ude00\n\"\\","é😀":[[[[1]]]],"\u0061b":2}"#,
        #"{"a":1,"b":{"a":1,"b":{"a":1,"b":[1,2,3]}},"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9}"#,
        "  [ 1 , \t2\r\n, { \"x\" : { } } ]  ",
    ].map { Array($0.utf8) }
    private static let spice: [UInt8] =
        Array("{}[]:,\"\\0123456789.eE+-utfnrl ab\n\t".utf8) + [0, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xF0, 0xFF]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func next() -> [UInt8] {
        var text = Self.seeds[Int(random.next() % UInt64(Self.seeds.count))]
        for _ in 0..<random.next() % 4 {
            let position = Int(random.next() % UInt64(text.count + 1))
            let byte = Self.spice[Int(random.next() % UInt64(Self.spice.count))]
            switch random.next() % 5 {
            case 0 where position < text.count: text.remove(at: position)
            case 1 where position < text.count: text[position] = byte
            case 2: text.insert(byte, at: position)
            case 3: text = Array(text[..<position])
            default:
                let other = Int(random.next() % UInt64(text.count + 1))
                let piece = text[min(position, other)..<max(position, other)]
                text.insert(contentsOf: piece, at: position)
            }
        }
        return text
    }
}
