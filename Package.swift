// swift-tools-version: 6.2
import PackageDescription

/// What every target of ours is built with: the upcoming defaults, and no warning left standing.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let inMemoryTracing = Target.Dependency.product(name: "InMemoryTracing", package: "swift-distributed-tracing")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// A module of ours. A module imports only modules that stand above it.
func module(_ name: String, _ dependencies: [Target.Dependency] = [], plugins: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: plugins.isEmpty ? nil : plugins, swiftSettings: settings)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies, swiftSettings: settings)
}

let package = Package(
    name: "carillon",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        // Without its traits: the core alone is built, which needs neither Foundation nor settings of its own.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Without its pkg-config file, which links two libraries more, and Berkeley DB with them, for nothing.
        .systemLibrary(name: "CICal", providers: [.apt(["libical-dev"])]),
        .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

        // Pure: no I/O, no clocks.
        module("Recurrence", ["CICal"]),
        module("JSONText"),
        module("JSONSchema", ["CPCRE2", "JSONText"]),
        module("PayloadTemplates", ["Recurrence", "JSONText", mustache]),
        module("SchedulerCore", ["Recurrence", "JSONText", "JSONSchema", crypto, heap, deque]),
        module("SchedulerWire", ["Recurrence", "JSONText", "SchedulerCore"]),
        module("ScheduleFiles", ["Recurrence", "JSONText", "SchedulerCore", "SchedulerWire", crypto, yams]),

        module("TopView", ["Recurrence", "JSONText"]),

        // The faces of the system's libraries and files; they know nothing of scheduling.
        module("ZoneData", ["Recurrence"]),
        module("NATSClient", ["CLinux", "CNATS", crypto, heap]),
        module("KeyValueLock", ["NATSClient"]),
        module("PostgresClient", ["CPostgres"]),
        module("Migrations", ["PostgresClient"]),
        module("LocalServers"),

        module("Telemetry", ["Recurrence", "JSONText", logging]),
        module("PrometheusMetrics", [metrics]),
        module("ServiceMetrics", ["PrometheusMetrics", metrics]),
        module(
            "SpanExport",
            ["JSONText", "SchedulerCore", deque, lifecycle, logging, nioCore, nioHTTP1, nioPosix, tracing]),
        module("ServiceTracing", ["Recurrence", "SchedulerCore", "SpanExport", tracing]),

        // The service.
        module(
            "SchedulerStore",
            ["Recurrence", "JSONText", "SchedulerCore", "SchedulerWire", "PostgresClient", "Migrations"],
            plugins: [.embedInCode("Migrations")]),
        module(
            "SchedulerEngine",
            [
                "CLinux", "Recurrence", "ZoneData", "JSONText", "JSONSchema", "PayloadTemplates",
                "SchedulerCore", "SchedulerWire", "NATSClient", "KeyValueLock", "PostgresClient", "SchedulerStore",
                "ServiceMetrics", "ServiceTracing", deque, lifecycle, logging,
            ]),
        module(
            "SchedulerAPI",
            [
                "Recurrence", "ZoneData", "JSONText", "JSONSchema", "PayloadTemplates", "SchedulerCore",
                "SchedulerWire", "NATSClient", "PostgresClient", "PrometheusMetrics", "Migrations", "SchedulerStore",
                "SchedulerEngine", "ServiceMetrics", "ServiceTracing", lifecycle, logging,
            ]),
        module(
            "SchedulerHTTP",
            [
                "JSONText", "NATSClient", "SchedulerCore", "SchedulerWire", httpTypes, hummingbird, lifecycle, logging,
                nioCore, nioPosix,
            ]),
        module(
            "ServiceFixture", ["JSONText", "LocalServers", "NATSClient", "PostgresClient", "SchedulerStore"]),
        .executableTarget(
            name: "carillon",
            dependencies: [
                "Recurrence", "JSONText", "JSONSchema", "ZoneData", "SchedulerCore", "SchedulerWire", "NATSClient",
                "PostgresClient", "Migrations", "LocalServers", "Telemetry", "SchedulerStore", "SchedulerEngine",
                "SchedulerAPI", "SchedulerHTTP", "ScheduleFiles", "PrometheusMetrics", "ServiceMetrics",
                "ServiceTracing", "SpanExport", "TopView", arguments, lifecycle, logging, metrics, signals, yams,
            ], swiftSettings: settings),

        // Measured beside the floor, a C program that does only the durable work of firing.
        .executableTarget(name: "CarillonFloor", dependencies: ["CNATS", "CPostgres"]),
        .executableTarget(
            name: "CarillonBench",
            dependencies: [
                "carillon", "ServiceFixture", "LocalServers", "JSONText", "NATSClient", "PostgresClient", "Recurrence",
                "ZoneData", arguments,
            ], swiftSettings: settings),

        // What several tests need: seeded numbers, a proxy that breaks connections, keys and certificates.
        .target(
            name: "TestSupport", dependencies: ["LocalServers"], path: "Tests/TestSupport", exclude: ["c", "python"],
            swiftSettings: settings),
        .target(
            name: "PostgresTestSupport", dependencies: ["LocalServers", "PostgresClient"],
            path: "Tests/PostgresTestSupport", swiftSettings: settings),

        tests(of: "Recurrence", ["TestSupport", "ZoneData"]),
        tests(of: "ZoneData", ["Recurrence"]),
        tests(of: "JSONText", ["TestSupport"]),
        tests(of: "JSONSchema", ["JSONText", "LocalServers", "TestSupport"]),
        tests(of: "PayloadTemplates", ["JSONText", "Recurrence"]),
        tests(of: "SchedulerCore", ["JSONSchema", "Recurrence", "TestSupport", "ZoneData"]),
        tests(of: "SchedulerWire", ["JSONText", "Recurrence", "SchedulerCore"]),
        .testTarget(
            name: "SchedulerHTTPTests",
            dependencies: [
                "SchedulerHTTP", "JSONText", "LocalServers", "SchedulerCore", "SchedulerWire", "TestSupport", lifecycle,
                logging,
            ], exclude: ["python"], swiftSettings: settings),
        tests(
            of: "ScheduleFiles",
            ["JSONText", "Recurrence", "SchedulerCore", "LocalServers", "TestSupport", "ZoneData"]),
        tests(of: "LocalServers"),
        tests(of: "PostgresClient", ["PostgresTestSupport", "TestSupport"]),
        tests(of: "Migrations", ["PostgresClient", "PostgresTestSupport"]),
        tests(of: "NATSClient", ["KeyValueLock", "LocalServers", "TestSupport"]),
        tests(of: "Telemetry", ["JSONText", logging]),
        tests(of: "PrometheusMetrics", ["LocalServers", "TestSupport", metrics]),
        tests(of: "ServiceMetrics", ["JSONText", "LocalServers", "PrometheusMetrics", "TestSupport", metrics]),
        tests(of: "SpanExport", ["JSONText", "LocalServers", "TestSupport", lifecycle, logging, tracing]),
        tests(of: "ServiceTracing", ["Recurrence", "SchedulerCore", "SpanExport", inMemoryTracing, tracing]),
        .testTarget(
            name: "CarillonTests",
            dependencies: [
                "carillon", "JSONSchema", "JSONText", "LocalServers", "Migrations", "NATSClient", "PostgresClient",
                "Recurrence", "SchedulerAPI", "SchedulerHTTP", "SchedulerCore", "SchedulerEngine", "SchedulerStore",
                "SchedulerWire", "ServiceFixture", "SpanExport", "Telemetry", "TestSupport", "TopView", arguments,
                logging, yams,
            ], swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "carillon", "ServiceFixture", "LocalServers", "JSONText", "Migrations", "NATSClient", "PostgresClient",
                "Recurrence", "SchedulerCore", "SchedulerEngine", "SchedulerStore", "TestSupport",
            ], exclude: ["python"], swiftSettings: settings),
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "carillon", "ServiceFixture", "LocalServers", "JSONText", "KeyValueLock", "Migrations", "NATSClient",
                "PostgresClient", "Recurrence", "SchedulerCore", "SchedulerEngine", "SchedulerStore", "TestSupport",
            ], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
