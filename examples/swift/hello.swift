// Makes a schedule over HTTP, waits until it has fired twice, and takes it away. Needs nothing but the toolchain:
//   CARILLON_HTTP=http://127.0.0.1:8008 swift examples/swift/hello.swift
import Foundation
#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

let variables = ProcessInfo.processInfo.environment
let service = variables["CARILLON_HTTP"] ?? "http://127.0.0.1:8008"

struct Refusal: Error { let reply: String }

/// One request; its reply as a dictionary. An error is thrown with what the service says.
func ask(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws -> [String: Any] {
    var request = URLRequest(url: URL(string: service + "/api/v1/" + path)!)
    request.httpMethod = method
    request.setValue("demo", forHTTPHeaderField: "Scheduler-Namespace")
    if let token = variables["CARILLON_TOKEN"] {
        request.setValue("Bearer " + token, forHTTPHeaderField: "Authorization")
    }
    if let body {
        request.httpBody = try JSONSerialization.data(withJSONObject: body)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    }
    let (data, response) = try await URLSession.shared.data(for: request)
    let reply = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    guard let status = (response as? HTTPURLResponse)?.statusCode, status < 300 else { throw Refusal(reply: "\(reply)") }
    return reply
}

_ = try await ask("POST", "schedules", [
    "name": "swift-hello", "schedule_type": "interval", "interval_seconds": 0.5,
    "target_command": "demo.swift", "delivery": "core", "command_payload": ["from": "swift"],
])
while try await (ask("GET", "schedules/swift-hello/executions?status=delivered")["executions"] as? [Any] ?? []).count < 2 {
    try await Task.sleep(nanoseconds: 100_000_000)
}
_ = try await ask("DELETE", "schedules/swift-hello")
print("done")
