import JSONText

/// One validation: leads a value through a graph of schemas, and collects what is wrong.
///
/// A schema is applied either to *tell* (each problem is kept, with its place, and all are looked for) or only to *ask*,
/// as the alternatives of `anyOf` are: then the first no is enough.
struct Validation {
    private enum Step {
        case member(String)
        case element(Int)
    }

    private let graph: SchemaGraph
    private var problems: [SchemaProblem] = []
    private var way: [Step] = []
    private var depth = 0
    /// Steps that are left.
    var steps = CompiledSchema.mostSteps
    /// Why nothing more is looked at: then no answer counts any more.
    private var halt: String?

    init(_ graph: SchemaGraph) { self.graph = graph }

    mutating func run(_ value: JSONValue) -> [SchemaProblem] {
        _ = apply(0, to: value, telling: true)
        if let halt, problems.count < CompiledSchema.mostProblems { problems.append(SchemaProblem(.root, halt)) }
        return problems
    }

    /// Takes steps. - Returns: false where there are none left: then everything ends.
    mutating func take(_ count: Int) -> Bool {
        guard halt == nil else { return false }
        steps -= count
        if steps < 0 {
            halt = "takes more than \(CompiledSchema.mostSteps) steps to check against the schema: it is refused"
        }
        return halt == nil
    }

    /// Stops everything: what was asked cannot be answered within its limits.
    mutating func stop(_ why: String) { if halt == nil { halt = why } }

    /// Whether it goes on: it does not where it was stopped, or has told all that it may.
    var goesOn: Bool { halt == nil && problems.count < CompiledSchema.mostProblems }

    /// Says no, and why, at the place where the validation stands.
    mutating func refuse(_ telling: Bool, _ message: @autoclosure () -> String) -> Bool {
        if telling, goesOn { problems.append(SchemaProblem(place, message())) }
        return false
    }

    private var place: JSONPointer {
        way.reduce(.root) { pointer, step in
            switch step {
            case .member(let name): pointer.appending(name)
            case .element(let index): pointer.appending(index)
            }
        }
    }

    // MARK: Going into the value

    mutating func apply(_ node: NodeID, toMember name: String, _ value: JSONValue, telling: Bool) -> Bool {
        way.append(.member(name))
        defer { way.removeLast() }
        return apply(node, to: value, telling: telling)
    }

    mutating func apply(_ node: NodeID, toElement index: Int, _ value: JSONValue, telling: Bool) -> Bool {
        way.append(.element(index))
        defer { way.removeLast() }
        return apply(node, to: value, telling: telling)
    }

    /// Whether the value satisfies the schema; told or asked.
    mutating func apply(_ node: NodeID, to value: JSONValue, telling: Bool) -> Bool {
        guard take(1) else { return false }
        guard depth < CompiledSchema.mostDepth else {
            stop("is led through more than \(CompiledSchema.mostDepth) schemas inside one another: it is refused")
            return false
        }
        depth += 1
        defer { depth -= 1 }
        switch graph.nodes[node] {
        case .always(let answer):
            return answer || refuse(telling, "expected nothing here, got \(value.named)")
        case .reference(let target):
            return apply(target, to: value, telling: telling)
        case .keywords(let keywords):
            var isValid = true
            for keyword in keywords {
                if judge(value, keyword, telling) { continue }
                isValid = false
                if !telling || !goesOn { break }
            }
            return isValid
        }
    }

    private mutating func judge(_ value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        switch keyword {
        case .types(let types):
            return types.holds(for: value) || refuse(telling, "expected \(types.words), got \(value.named)")
        case .enumeration(let values): return judge(value, among: values, telling)
        case .constant(let constant):
            guard take(1 + value.bytes.count / 16) else { return false }
            return EqualValue.isEqual(value, constant)
                || refuse(telling, "expected \(constant.shown), got \(value.shown)")
        case .multipleOf, .bound: return value.kind != .number || judge(number: value, keyword, telling)
        case .maxLength, .minLength, .pattern: return value.kind != .string || judge(string: value, keyword, telling)
        case .items, .tuple, .maxItems, .minItems, .uniqueItems, .contains:
            return value.kind != .array || judge(array: value, keyword, telling)
        case .maxProperties, .minProperties, .required, .members, .propertyNames, .requiredWith, .schemaWith:
            return value.kind != .object || judge(object: value, keyword, telling)
        case .allOf, .anyOf, .oneOf, .not, .conditional: return combine(value, keyword, telling)
        }
    }

    private mutating func judge(_ value: JSONValue, among values: [JSONValue], _ telling: Bool) -> Bool {
        for candidate in values {
            guard take(1 + value.bytes.count / 16) else { return false }
            if EqualValue.isEqual(value, candidate) { return true }
        }
        let known = values.prefix(8).map(\.shown).joined(separator: ", ")
        return refuse(telling, "expected one of \(known)\(values.count > 8 ? ", …" : ""), got \(value.shown)")
    }

    // MARK: Schemas of schemas

    private mutating func combine(_ value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        switch keyword {
        case .allOf(let nodes):
            var isValid = true
            for node in nodes where isValid || (telling && goesOn) {
                if !apply(node, to: value, telling: telling) { isValid = false }
            }
            return isValid
        case .anyOf(let nodes):
            for node in nodes where apply(node, to: value, telling: false) { return halt == nil }
            // Of a single one the reasons are known.
            if nodes.count == 1, telling { return apply(nodes[0], to: value, telling: true) }
            return refuse(telling, "fits none of the \(nodes.count) alternatives of 'anyOf'")
        case .oneOf(let nodes):
            var fitting = 0
            for node in nodes where apply(node, to: value, telling: false) {
                fitting += 1
                if fitting > 1, !telling { break }
            }
            return (fitting == 1 && halt == nil)
                || refuse(telling, "expected to fit exactly one of \(nodes.count) alternatives, fits \(fitting)")
        case .not(let node):
            let isRefused = !apply(node, to: value, telling: false)
            return (isRefused && halt == nil) || refuse(telling, "is what 'not' excludes: \(value.shown)")
        case .conditional(let condition, let then, let otherwise):
            let branch = apply(condition, to: value, telling: false) ? then : otherwise
            return branch.map { apply($0, to: value, telling: telling) } ?? (halt == nil)
        default: return true
        }
    }
}

extension JSONValue {
    /// What came, for a sentence: its kind, with a number's text.
    fileprivate var named: String {
        switch kind {
        case .null: "null"
        case .bool: "a boolean"
        case .number: shown
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
