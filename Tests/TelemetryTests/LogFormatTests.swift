import Glibc
import JSONText
import Logging
import Telemetry
import Testing

@Suite struct LogFormatTests {
    /// What a logger writes, line by line.
    private func lines(_ format: LogFormat, level: Logger.Level = .info, _ body: (inout Logger) -> Void) throws
        -> [String]
    {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        var logger = format.logger("test", level: level, to: LineSink(ends[1]) { "\($0) dropped" })
        body(&logger)
        close(ends[1])
        defer { close(ends[0]) }
        return try read(ends[0]).split(separator: "\n").map(String.init)
    }

    private func read(_ file: Int32) throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = Glibc.read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return try #require(String(validating: bytes, as: UTF8.self))
    }

    @Test func oneEventIsOneObjectOnOneLine() throws {
        let lines = try lines(.json) { logger in
            logger[metadataKey: "instance"] = "one"
            logger.warning("a \"bad\"\nday", metadata: ["count": "3", "list": ["a", "b"], "level": "mine"])
        }
        #expect(lines.count == 1)
        let object = try JSONValue.parse(try #require(lines.first))
        #expect(object["message"]?.string == "a \"bad\"\nday")
        #expect(object["level"]?.string == "warning")
        #expect(object["_level"]?.string == "mine")
        #expect(object["instance"]?.string == "one")
        #expect(object["list"]?.count == 2)
        #expect(object["time"]?.string?.hasSuffix("Z") == true)
    }

    @Test func textKeepsAnEventOnOneLineAndNoControlCharacters() throws {
        let lines = try lines(.text) { $0.info("first\nsecond \u{1B}[2J", metadata: ["error": "x\ny"]) }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("first\\nsecond") == true)
        #expect(lines.first?.contains("\u{1B}") == false)
    }

    @Test(arguments: LogFormat.allCases) func whatIsBelowTheLevelIsNotWritten(format: LogFormat) throws {
        #expect(try lines(format, level: .error) { $0.warning("quiet") }.isEmpty)
    }

    @Test func aReaderThatStandsStillCostsLinesAndNoTime() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let sink = LineSink(ends[1]) { "\($0) dropped" }
        let line = String(repeating: "x", count: 1000)
        // A pipe holds 64 KiB: without the check the 66th line would wait for ever.
        for _ in 0..<200 { sink.write(line) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let held = Glibc.read(ends[0], &buffer, buffer.count)
        #expect(held <= 65_536)
        sink.write("after")
        let count = Glibc.read(ends[0], &buffer, buffer.count)
        let rest = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
        #expect(rest == "\(200 - held / 1001) dropped\nafter\n")
    }
}
