import PostgresClient
import PostgresTestSupport
import Testing

/// Every value that is bound comes back as it went.
struct RoundTripTests {
    private func echo(_ type: String, _ value: PostgresValue) async throws -> PostgresRow {
        let connection = try PostgresConnection(try await LocalPostgres.shared.value.configuration())
        return try await connection.query(Statement("echo", "SELECT $1::\(type)"), [value])[0]
    }

    @Test(arguments: [true, false]) func bool(_ value: Bool) async throws {
        #expect(try await echo("bool", .bool(value)).bool(0) == value)
    }

    @Test(arguments: [Int64.min, -1, 0, 1, .max]) func integers(_ value: Int64) async throws {
        #expect(try await echo("bigint", .int64(value)).int64(0) == value)
        let int32 = Int32(truncatingIfNeeded: value)
        #expect(try await echo("integer", .int32(int32)).int32(0) == int32)
        let int16 = Int16(truncatingIfNeeded: value)
        let row = try await echo("smallint", .int16(int16))
        #expect(try row.int16(0) == int16)
        #expect(try row.int64(0) == Int64(int16), "a smaller integer is widened")
    }

    @Test(arguments: [0, -0.0, 1.5, .infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude])
    func float8(_ value: Double) async throws {
        #expect(try await echo("float8", .float8(value)).float8(0).bitPattern == value.bitPattern)
    }

    @Test(arguments: ["", "a", "äöü € 🕰", String(repeating: "x", count: 100_000)])
    func text(_ value: String) async throws {
        #expect(try await echo("text", .text(value)).text(0) == value)
    }

    @Test(arguments: [[], [0], [UInt8](0...255), [UInt8](repeating: 7, count: 100_000)])
    func bytes(_ value: [UInt8]) async throws {
        let row = try await echo("bytea", .bytes(value))
        #expect(try row.bytes(0) == value)
        #expect(try row.withBytes(0) { $0.count } == value.count)
    }

    @Test func jsonIsKeptVerbatim() async throws {
        let json = Array(#"{ "b":1,  "a":[1.0,1e2],"b":2 }"#.utf8)
        #expect(try await echo("json", .json(json)).json(0) == json)
        #expect(try await echo("text", .json(json)).json(0) == json)
    }

    @Test(arguments: [0, 1, -1, 1_700_000_000_123_456, -62_000_000_000_000_000, .max, .min])
    func timestamptz(_ value: Int64) async throws {
        #expect(try await echo("timestamptz", .timestamptz(value)).timestamptz(0) == value)
    }

    @Test func timestamptzMeansTheSameToPostgres() async throws {
        let connection = try PostgresConnection(try await LocalPostgres.shared.value.configuration())
        let statement = Statement("t", "SELECT $1::timestamptz = '2001-02-03 04:05:06.789+00', $2::timestamptz")
        let row = try await connection.query(statement, [.timestamptz(981_173_106_789_000), .timestamptz(.max)])[0]
        #expect(try row.bool(0))
        let infinity = Statement("i", "SELECT $1::timestamptz = 'infinity', $2::timestamptz = '-infinity'")
        let limits = try await connection.query(infinity, [.timestamptz(.max), .timestamptz(.min)])[0]
        #expect(try limits.bool(0) && limits.bool(1))
    }

    @Test func uuid() async throws {
        let row = try await echo("uuid", .uuid(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210))
        #expect(try row.uuid(0) == (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210))
        let text = try await echo("uuid::text", .uuid(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210))
        #expect(try text.text(0) == "01234567-89ab-cdef-fedc-ba9876543210")
    }

    @Test(arguments: ["bool", "bigint", "text", "bytea", "uuid", "timestamptz", "json", "float8", "bigint[]"])
    func null(_ type: String) async throws {
        let row = try await echo(type, .null)
        #expect(row.isNull(0))
        #expect(try row.int64OrNil(0) == nil && row.textOrNil(0) == nil && row.uuidOrNil(0) == nil)
        #expect(throws: PostgresError.self) { try row.bytes(0) }
    }

    @Test func anotherTypeIsRefused() async throws {
        let row = try await echo("bigint", .int64(1))
        #expect { try row.timestamptz(0) } throws: { ($0 as? PostgresError)?.code == .decoding }
        #expect { try row.int32(0) } throws: { ($0 as? PostgresError)?.code == .decoding }
        #expect { try row.text(0) } throws: { ($0 as? PostgresError)?.code == .decoding }
        for type in ["jsonb", "numeric"] {
            let other = try await echo("text::\(type)", .text("1"))
            #expect { try other.text(0) } throws: { ($0 as? PostgresError)?.code == .decoding }
        }
        #expect { try row.uuidArray(0) } throws: { ($0 as? PostgresError)?.code == .decoding }
    }

    /// The text form PostgreSQL gives an array shows that it read every element, and every NULL, as meant.
    static let arrays: [(String, PostgresValue, String)] = [
        ("bool[]", .bools([true, nil, false]), "{t,NULL,f}"),
        ("smallint[]", .int16s([1, nil, -2]), "{1,NULL,-2}"),
        ("integer[]", .int32s([1, nil, -2]), "{1,NULL,-2}"),
        ("bigint[]", .int64s([1, nil, .min]), "{1,NULL,-9223372036854775808}"),
        ("float8[]", .float8s([1.5, nil]), "{1.5,NULL}"),
        ("text[]", .texts(["", nil, "a,b", "NULL", "é"]), #"{"",NULL,"a,b","NULL",é}"#),
        ("bytea[]", .byteses([[1, 255], nil, []]), #"{"\\x01ff",NULL,"\\x"}"#),
        ("json[]", .jsons([[0x31], nil]), "{1,NULL}"),
        ("timestamptz[]", .timestamptzs([0, nil, .max]), #"{"1970-01-01 00:00:00+00",NULL,infinity}"#),
        (
            "uuid[]", .uuids([(high: 1, low: 2), nil]), "{00000000-0000-0001-0000-000000000002,NULL}"
        ),
        ("bigint[]", .int64s([]), "{}"),
        ("text[]", .texts([nil]), "{NULL}"),
    ]

    @Test(arguments: arrays.indices) func arraysWithNulls(_ index: Int) async throws {
        let (type, value, text) = Self.arrays[index]
        #expect(try await echo("\(type)::text", value).text(0) == text)
    }

    @Test func arraysOfAThousand() async throws {
        let connection = try PostgresConnection(try await LocalPostgres.shared.value.configuration())
        let numbers = (0..<1000).map { Int64($0) &* 0x1e37_79b9_7f4a_7c15 }
        let texts = numbers.map { "text \($0)" }
        let uuids = numbers.map { (high: UInt64(bitPattern: $0), low: ~UInt64(bitPattern: $0)) }
        let statement = Statement(
            "thousand",
            """
            SELECT $1::bigint[], $2::text[], $3::uuid[],
                (SELECT count(*) FROM unnest($4::bytea[], $5::timestamptz[]) AS t(b, w)
                 WHERE convert_from(t.b, 'UTF8')::bigint * 1000 = extract(epoch FROM t.w) * 1000000)
            """)
        let row = try await connection.query(
            statement,
            [
                .int64s(numbers), .texts(texts), .uuids(uuids),
                .byteses((0..<1000).map { Array("\($0)".utf8) }), .timestamptzs((0..<1000).map { $0 * 1000 }),
            ])[0]
        #expect(try row.int64Array(0) == numbers)
        #expect(try row.textArray(1) == texts)
        #expect(try row.uuidArray(2).elementsEqual(uuids, by: ==))
        #expect(try row.int64(3) == 1000)
    }
}
