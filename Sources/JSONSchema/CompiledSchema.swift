package import JSONText

/// A JSON Schema of draft-07, compiled once to validate many values.
///
/// - All keywords of the validation vocabulary judge; `format`, `contentEncoding` and `contentMediaType` are annotations
///   and judge nothing, as the draft allows.
/// - Numbers are compared as they are written, without rounding: `multipleOf`, bounds and integers are exact at any
///   size. `1.0` is an integer.
/// - `$ref` finds what the document holds, by JSON Pointer or by `$id`, and draft-07's own meta-schema. Nothing is ever
///   fetched: a reference to elsewhere is refused when the schema is compiled.
/// - Work is bounded, whatever schema and value: see ``mostSteps``.
///
/// Two are equal where their texts are.
package final class CompiledSchema: Sendable {
    /// A schema's text is at most so long, in bytes.
    package static let longestText = 1 << 20
    /// One validation takes at most so many steps: schemas applied, values compared, items of patterns tried. One that
    /// would take more ends with a problem that says so.
    package static let mostSteps = 200_000
    /// A validation tells at most so many problems.
    package static let mostProblems = 100
    /// Schemas inside schemas that one value is led through, at most.
    static let mostDepth = 300

    /// As it was given.
    package let text: [UInt8]
    private let graph: SchemaGraph

    /// - Throws: `SchemaError`, with all that draft-07 does not allow in it, or the first reference or pattern that
    ///   cannot be compiled.
    package convenience init(_ text: [UInt8]) throws(SchemaError) {
        let document: JSONValue
        do {
            document = try JSONValue.parse(text, limits: JSONLimits(maxDepth: 64, maxBytes: Self.longestText))
        } catch {
            throw SchemaError(.badJSON, JSONPointer(error.pointer) ?? .root, error.description)
        }
        try self.init(document)
    }

    package convenience init(_ document: JSONValue) throws(SchemaError) {
        try Self.expectDraft07(document)
        if case .success(let meta) = MetaSchema.compiled {
            let problems = meta.validate(document)
            guard problems.isEmpty else { throw SchemaError(.invalid, problems) }
        }
        try self.init(trusting: document)
    }

    /// A document that is known to obey the meta-schema.
    init(trusting document: JSONValue) throws(SchemaError) {
        text = Array(document.bytes)
        graph = try SchemaCompiler.compile(document)
    }

    private static func expectDraft07(_ document: JSONValue) throws(SchemaError) {
        guard let name = document["$schema"]?.string else { return }
        guard name == MetaSchema.address || name == MetaSchema.address + "#" else {
            throw SchemaError(
                .invalid, JSONPointer.root.appending("$schema"),
                "expected \(MetaSchema.address)#, got '\(name.prefix(160))'")
        }
    }

    /// - Returns: what is wrong with the value, at most ``mostProblems``; nothing where it satisfies the schema.
    package func validate(_ value: JSONValue) -> [SchemaProblem] {
        var validation = Validation(graph)
        return validation.run(value)
    }

    /// Validates a text, which may be no JSON at all.
    package func validate(_ bytes: [UInt8]) -> [SchemaProblem] {
        do { return validate(try JSONValue.parse(bytes)) } catch {
            return [SchemaProblem(JSONPointer(error.pointer) ?? .root, error.message)]
        }
    }
}

extension CompiledSchema: Hashable {
    package static func == (left: CompiledSchema, right: CompiledSchema) -> Bool { left.text == right.text }

    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
