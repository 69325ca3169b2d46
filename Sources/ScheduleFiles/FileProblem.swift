package import JSONText

/// Something wrong with a file of definitions, and where.
package struct FileProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package var file: String
    /// From 1 on; nil where the file is not one of documents.
    package var document: Int?
    /// From 1 on, where it is known.
    package var line: Int?
    /// The schedule's name, where it has one.
    package var name: String?
    /// Below the document.
    package var pointer: JSONPointer
    package var message: String

    package init(
        file: String, document: Int? = nil, line: Int? = nil, name: String? = nil, pointer: JSONPointer = .root,
        _ message: String
    ) {
        self.file = file
        self.document = document
        self.line = line
        self.name = name
        self.pointer = pointer
        self.message = message
    }

    /// `deploy.yaml:12: document 2, schedule 'nightly', /schedules/0/cron_expression: expected …`
    package var description: String {
        var place: [String] = []
        if let document { place.append("document \(document)") }
        if let name { place.append("schedule '\(name)'") }
        if pointer != .root { place.append(pointer.description) }
        let head = line.map { "\(file):\($0)" } ?? file
        return "\(head): " + (place.isEmpty ? "" : place.joined(separator: ", ") + ": ") + message
    }
}
