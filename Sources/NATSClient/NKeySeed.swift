import Crypto
import Glibc

/// The secret half of a user's NKey: `SU…`, 58 characters of base32 (prefix, 32 bytes of ed25519, CRC-16).
///
/// Nothing shows the seed: what is printed, dumped or reflected is the public key.
package struct NKeySeed: Sendable {
    /// What signs the server's nonce.
    let text: String
    /// `U…`: whom the server's configuration names.
    package let publicKey: String

    /// Nil for what is no user's seed: another form, a wrong checksum, the key of an account or an operator.
    package init?(_ text: String) {
        guard text.utf8.count == 58, let bytes = Base32.decode(text), bytes.count == 36 else { return nil }
        let kind = bytes[0] & 0xF8
        let role = (bytes[0] & 0x07) << 5 | (bytes[1] & 0xF8) >> 3
        guard kind == Self.seedPrefix, role == Self.userPrefix, Self.isIntact(bytes),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes[2..<34])
        else { return nil }
        self.text = text
        let body = [Self.userPrefix] + Array(key.publicKey.rawRepresentation)
        publicKey = Base32.encode(body + Self.checksum(body))
    }

    /// The seed in a file as `nk -gen user` writes it, or in the block of a credentials file; nil where there is none.
    package init?(file path: String) {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let count = fread(&buffer, 1, buffer.count, file)
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline) {
            let word = line.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            if let seed = NKeySeed(String(word)) {
                self = seed
                return
            }
        }
        return nil
    }

    private static let seedPrefix: UInt8 = 18 << 3
    private static let userPrefix: UInt8 = 20 << 3

    private static func isIntact(_ bytes: [UInt8]) -> Bool { checksum(bytes.dropLast(2)) == Array(bytes.suffix(2)) }

    /// CRC-16/XMODEM, the low byte first.
    private static func checksum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
        }
        return [UInt8(crc & 0xFF), UInt8(crc >> 8)]
    }
}

extension NKeySeed: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "the key \(publicKey)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// RFC 4648, without padding.
private enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> UInt32(count) & 31)])
            }
            bits &= (1 << UInt32(count)) - 1
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(5 - count) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = bits << 5 | UInt32(value)
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(bits >> UInt32(count) & 0xFF))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return bytes
    }
}
