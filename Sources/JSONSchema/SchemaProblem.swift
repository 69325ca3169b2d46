package import JSONText

/// One thing that is wrong, and where: with an instance that was validated, or with a schema that was compiled.
package struct SchemaProblem: Hashable, Sendable, CustomStringConvertible {
    /// The place in the instance; in the schema's document, where the schema itself is wrong.
    package let pointer: JSONPointer
    /// What was expected and what came, without the place.
    package let message: String

    package init(_ pointer: JSONPointer, _ message: String) {
        self.pointer = pointer
        self.message = message
    }

    package var description: String { pointer == .root ? message : "\(pointer): \(message)" }
}

/// Why a text is no schema that can be validated with.
package struct SchemaError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// The text is no JSON.
        case badJSON
        /// A keyword has a value that draft-07 does not know, or a pattern is none.
        case invalid
        /// A `$ref` that leaves the document, or finds nothing in it.
        case unresolved
        /// A schema that refers to itself without going into the value: no value could ever be judged.
        case endless
    }

    package let code: Code
    /// At least one; with pointers into the schema.
    package let problems: [SchemaProblem]

    init(_ code: Code, _ problems: [SchemaProblem]) {
        self.code = code
        self.problems = problems
    }

    init(_ code: Code, _ pointer: JSONPointer, _ message: String) {
        self.init(code, [SchemaProblem(pointer, message)])
    }

    /// One line, whatever the number of problems.
    package var description: String {
        let first = problems.first?.description ?? "is no schema"
        return problems.count > 1 ? "\(first) (and \(problems.count - 1) more)" : first
    }
}
