import SchedulerHTTP

extension Settings {
    static let noHTTP = "off"

    mutating func readHTTP(_ reader: inout SettingsReader) {
        tokensFile = reader.file(.tokensFile)
        if reader.text(.httpPort) == Self.noHTTP {
            httpPort = nil
        } else {
            httpPort = Int(reader.integer(.httpPort, in: 0...65535, otherwise: 8008))
        }
        let hasTokens = reader.text(.tokensFile) != nil
        reader.read(.httpHost, &httpHost) { text in
            guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), text.utf8.count <= 255 else {
                return "an address or a name to listen on"
            }
            // Whoever reaches it could do everything.
            return hasTokens || Loopback.isLoopback(host: text)
                ? nil : "127.0.0.1, ::1 or localhost where no API_TOKENS_FILE is named"
        }
    }

    func http(instance: String) -> HTTPService.Settings? {
        httpPort.map { HTTPService.Settings(host: httpHost, port: $0, version: Carillon.version, instance: instance) }
    }
}
