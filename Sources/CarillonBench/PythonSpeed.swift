import Foundation

/// What croniter and cronsim need for an occurrence.
struct PythonSpeed {
    let zone: String

    private static let script = """
        import sys, time
        from datetime import datetime, timedelta
        from zoneinfo import ZoneInfo
        from croniter import croniter
        from cronsim import CronSim

        COUNT = 500
        start = datetime(2026, 1, 1, tzinfo=ZoneInfo(sys.argv[1]))

        def least(make):
            times = []
            for _ in range(3):
                try:
                    search = make()
                    begin = time.perf_counter_ns()
                    for _ in range(COUNT):
                        search()
                    times.append((time.perf_counter_ns() - begin) / COUNT)
                except Exception:
                    return "-"
            return min(times)

        for text in sys.argv[2:]:
            def by_croniter():
                found = croniter(text, start, second_at_beginning=True)
                return lambda: found.get_next(datetime)
            print(least(by_croniter), least(lambda: CronSim(text, start).__next__))
        """

    /// Nanoseconds for croniter and for cronsim, nil for a text one cannot read; empty without them.
    func nanoseconds(_ texts: [String]) -> [String: [Double?]] {
        let environment = ProcessInfo.processInfo.environment
        let own = FileManager.default.currentDirectoryPath + "/.venv/bin/python"
        let python =
            environment["CARILLON_TEST_PYTHON"] ?? (FileManager.default.isExecutableFile(atPath: own) ? own : "python3")
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [python, "-c", PythonSpeed.script, zone] + texts
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil, let data = try? output.fileHandleForReading.readToEnd() else { return [:] }
        process.waitUntilExit()
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        guard lines.count == texts.count else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: zip(texts, lines.map { line in line.split(separator: " ").map { Double($0) } }))
    }
}
