/// Names nobody can guess, for inboxes: 22 letters and digits, 130 bits from the system's generator.
enum UniqueName {
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(
            validating: (0..<22).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }
}
