/// Hides the secrets in connection strings, for what is shown.
enum Redaction {
    static let mark = "***"

    /// Each of several URLs apart by commas: what stands before an `@` is hidden, but for a user's name.
    static func urls(_ text: String) -> String {
        text.split(separator: ",", omittingEmptySubsequences: false).map { url($0) }.joined(separator: ",")
    }

    /// A `postgres://` URL or libpq's `name=value` text.
    static func connectionString(_ text: String) -> String {
        text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") ? query(url(text[...])) : pairs(text)
    }

    private static func url(_ text: Substring) -> String {
        guard let slashes = text.firstIndex(of: "/"), text[slashes...].hasPrefix("//") else {
            guard let at = text.lastIndex(of: "@") else { return String(text) }
            return mark + String(text[at...])
        }
        let start = text.index(slashes, offsetBy: 2)
        // A password may hold anything, an `@` too: the last one before the path counts.
        let end = text[start...].firstIndex(of: "/") ?? text.endIndex
        let at = text[start..<end].lastIndex(of: "@") ?? text[start...].lastIndex(of: "@")
        guard let at else { return String(text) }
        let user = text[start..<at]
        let shown: String
        if let colon = user.firstIndex(of: ":") {
            shown = String(user[...colon]) + mark
        } else {
            // Alone it is a user's name in a database's URL, and a token in one of NATS.
            shown = text.hasPrefix("postgres") ? String(user) : mark
        }
        return String(text[..<start]) + shown + String(text[at...])
    }

    /// `?password=…`, in whatever place of the query.
    private static func query(_ text: String) -> String {
        guard let mark = text.firstIndex(of: "?") else { return text }
        let parameters = text[text.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false)
        let shown = parameters.map { isSecret($0) ? hidden($0) : String($0) }
        return String(text[...mark]) + shown.joined(separator: "&")
    }

    /// `host=… password='…'`: from a secret's name on nothing is shown but the rest's names; quotes make a value's end
    /// hard to find, and a wrong guess would show it.
    private static func pairs(_ text: String) -> String {
        var shown: [String] = []
        for word in text.split(separator: " ") {
            if isSecret(word) {
                shown.append(hidden(word))
                break
            }
            shown.append(String(word))
        }
        return shown.joined(separator: " ")
    }

    private static func hidden(_ pair: Substring) -> String { pair.prefix { $0 != "=" } + "=" + mark }

    private static func isSecret(_ pair: Substring) -> Bool {
        ["password", "sslpassword", "passfile"].contains { pair.lowercased().hasPrefix($0) }
    }
}
