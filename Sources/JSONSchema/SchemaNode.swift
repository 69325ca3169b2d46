import JSONText

/// A place in a ``SchemaGraph``.
typealias NodeID = Int

/// One schema of a document; it names other schemas by their places, so that references may go in circles.
enum SchemaNode: Sendable {
    /// `true` or `false`; `{}` as well.
    case always(Bool)
    case reference(NodeID)
    case keywords([Keyword])
}

/// All schemas that a document reaches from its root, which is the first.
struct SchemaGraph: Sendable {
    var nodes: [SchemaNode] = []
}

/// One keyword, or several that cannot be judged apart.
enum Keyword: Sendable {
    case types(ValueTypes)
    case enumeration([JSONValue])
    case constant(JSONValue)

    case multipleOf(ExactDecimal, text: String)
    case bound(NumberBound)

    case maxLength(Int)
    case minLength(Int)
    case pattern(Pattern)

    case items(NodeID)
    /// `items` as a list, and `additionalItems`.
    case tuple([NodeID], others: NodeID?)
    case maxItems(Int)
    case minItems(Int)
    case uniqueItems
    case contains(NodeID)

    case maxProperties(Int)
    case minProperties(Int)
    case required([String])
    case members(MemberRules)
    case propertyNames(NodeID)
    case requiredWith(String, [String])
    case schemaWith(String, NodeID)

    case allOf([NodeID])
    case anyOf([NodeID])
    case oneOf([NodeID])
    case not(NodeID)
    case conditional(if: NodeID, then: NodeID?, else: NodeID?)

    /// Schemas that judge the very value that this one judges, and not a part of it.
    var inPlace: [NodeID] {
        switch self {
        case .allOf(let nodes), .anyOf(let nodes), .oneOf(let nodes): nodes
        case .not(let node), .schemaWith(_, let node): [node]
        case .conditional(let condition, let then, let otherwise): [condition] + [then, otherwise].compactMap(\.self)
        default: []
        }
    }
}

/// `properties`, `patternProperties` and `additionalProperties`.
struct MemberRules: Sendable {
    var named: [MemberName: NodeID] = [:]
    var patterned: [(pattern: Pattern, node: NodeID)] = []
    var others: NodeID?

    var isEmpty: Bool { named.isEmpty && patterned.isEmpty && others == nil }
}

struct NumberBound: Sendable {
    enum Side: String {
        case maximum = "at most"
        case exclusiveMaximum = "below"
        case minimum = "at least"
        case exclusiveMinimum = "above"
    }

    let side: Side
    let limit: ExactDecimal
    /// As it was written.
    let text: String

    func holds(for number: ExactDecimal) -> Bool {
        switch side {
        case .maximum: number <= limit
        case .exclusiveMaximum: number < limit
        case .minimum: number >= limit
        case .exclusiveMinimum: number > limit
        }
    }
}

/// The names that `type` knows. `integer` is any whole number, `1.0` too.
struct ValueTypes: OptionSet, Sendable {
    let rawValue: UInt8

    static let null = ValueTypes(rawValue: 1)
    static let boolean = ValueTypes(rawValue: 2)
    static let integer = ValueTypes(rawValue: 4)
    static let number = ValueTypes(rawValue: 8)
    static let string = ValueTypes(rawValue: 16)
    static let array = ValueTypes(rawValue: 32)
    static let object = ValueTypes(rawValue: 64)

    private static let named: [(name: String, type: ValueTypes, words: String)] = [
        ("null", .null, "null"), ("boolean", .boolean, "a boolean"), ("integer", .integer, "a whole number"),
        ("number", .number, "a number"), ("string", .string, "a string"), ("array", .array, "an array"),
        ("object", .object, "an object"),
    ]

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init?(name: String) {
        guard let known = Self.named.first(where: { $0.name == name }) else { return nil }
        self = known.type
    }

    func holds(for value: JSONValue) -> Bool {
        switch value.kind {
        case .null: contains(.null)
        case .bool: contains(.boolean)
        case .number: contains(.number) || (contains(.integer) && ExactDecimal(value.bytes).isWhole)
        case .string: contains(.string)
        case .array: contains(.array)
        case .object: contains(.object)
        }
    }

    /// `a string or null`.
    var words: String {
        Self.named.filter { contains($0.type) }.map(\.words).joined(separator: " or ")
    }
}
