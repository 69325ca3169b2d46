/// How a piece of text looks in a terminal that has colours.
package enum TextStyle: Hashable, Sendable {
    case plain, bold, dim, good, warning, bad

    /// SGR: ECMA-48, 8.3.117.
    var code: String {
        switch self {
        case .plain: ""
        case .bold: "1"
        case .dim: "2"
        case .good: "32"
        case .warning: "33"
        case .bad: "1;31"
        }
    }
}

/// A line of a frame: pieces of text, each in its style. Each character is one column wide: what others wrote is made
/// ``terminalSafe`` before it stands here.
package struct StyledLine: Hashable, Sendable {
    private struct Piece: Hashable, Sendable {
        let text: String
        let style: TextStyle
    }

    private var pieces: [Piece] = []

    package init() {}

    init(_ text: String, _ style: TextStyle = .plain) { add(text, style) }

    mutating func add(_ text: String, _ style: TextStyle = .plain) {
        guard !text.isEmpty else { return }
        pieces.append(Piece(text: text, style: style))
    }

    /// Adds text that ends in the last of so many columns, if there is room for it and a blank.
    mutating func addRight(_ text: String, _ style: TextStyle, width: Int) {
        let blanks = width - count - text.count
        guard blanks > 0 else { return }
        add(String(repeating: " ", count: blanks))
        add(text, style)
    }

    var count: Int { pieces.reduce(0) { $0 + $1.text.count } }

    /// The line in at most so many columns; without blanks at its end where it is plain.
    package func text(width: Int, coloured: Bool) -> String {
        var left = width
        var text = ""
        for piece in pieces where left > 0 {
            let shown = piece.text.prefix(left)
            left -= shown.count
            let code = piece.style.code
            text += coloured && !code.isEmpty ? "\u{1B}[\(code)m\(shown)\u{1B}[0m" : String(shown)
        }
        guard !coloured else { return text }
        return String(text.reversed().drop { $0 == " " }.reversed())
    }
}

extension String {
    /// Without what moves a terminal's cursor, changes its state or takes another width than one column: what came from
    /// elsewhere may hold anything.
    package var terminalSafe: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.map { scalar in
                    switch scalar.value {
                    case 0x20...0x7E: scalar
                    // Latin letters and signs, but for the soft hyphen.
                    case 0xA1...0xAC, 0xAE...0x24F: scalar
                    case 0x09, 0x0A, 0x0D: " "
                    default: "?"
                    }
                }))
    }

    /// In a field of so many columns, and one blank.
    func padded(_ width: Int) -> String {
        let shown = String(prefix(width))
        return shown + String(repeating: " ", count: width - shown.count + 1)
    }

    /// At the right of a field of so many columns.
    func right(_ width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - count)) + self }
}

extension Int64 {
    /// 1,234,567.
    var grouped: String {
        var text = ""
        for (place, digit) in String(magnitude).reversed().enumerated() {
            if place > 0, place % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (self < 0 ? "-" : "") + String(text.reversed())
    }
}
