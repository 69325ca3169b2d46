package import JSONText
package import SchedulerCore

/// One definition of a file, as `schedule.put` takes it.
package struct FileItem: Sendable {
    package let document: SourceDocument
    /// Where it stands in its document.
    package let pointer: JSONPointer
    package let name: String
    /// Nil where neither the file nor the command line says one.
    package let namespace: Namespace?
    /// The definition as JSON: what the file says without `namespace`, and the owner's label.
    package let body: [UInt8]

    package func problem(_ pointer: JSONPointer, _ message: String) -> FileProblem {
        document.problem(pointer, message, name: name)
    }
}

/// Reads files of definitions: `schedules:` with a list, or one definition a document.
package struct DefinitionFile {
    /// The key in a schedule's `metadata` that says whose files it comes from.
    package static let ownerKey = "carillon-owner"

    /// What the command line says of all definitions.
    package struct Reading: Sendable {
        /// In which the files' schedules are; a file that names another one is refused.
        package var namespace: Namespace?
        /// Written into `metadata` of each definition.
        package var owner: String?

        package init(namespace: Namespace? = nil, owner: String? = nil) {
            self.namespace = namespace
            self.owner = owner
        }
    }

    private let reading: Reading
    package private(set) var items: [FileItem] = []
    package private(set) var problems: [FileProblem] = []
    /// Where each name stands first, by `namespace/name`.
    private var places: [String: String] = [:]

    package init(_ reading: Reading) { self.reading = reading }

    /// Adds what a file says.
    package mutating func read(_ text: String, file: String) {
        let (documents, problems) = SourceDocument.read(text, file: file)
        self.problems += problems
        for document in documents { read(document) }
    }

    private mutating func read(_ document: SourceDocument) {
        guard document.value.kind == .object else {
            report(document, .root, "expected a definition, or 'schedules:' with a list of them")
            return
        }
        guard let list = document.value["schedules"] else {
            return read(document.value, at: .root, of: document, namespace: nil)
        }
        let place = JSONPointer.root.appending("schedules")
        for member in document.value.members where member.name != "schedules" && member.name != "namespace" {
            report(document, .root.appending(member.name), "is no field beside 'schedules'; expected 'namespace'")
        }
        guard list.kind == .array else {
            report(document, place, "expected a list of definitions")
            return
        }
        for (index, element) in list.elements.enumerated() {
            read(element, at: place.appending(index), of: document, namespace: document.value["namespace"])
        }
    }

    private mutating func report(
        _ document: SourceDocument, _ pointer: JSONPointer, _ message: String, name: String? = nil
    ) {
        problems.append(document.problem(pointer, message, name: name))
    }

    /// - Parameter namespace: what the document says for all of its definitions.
    private mutating func read(
        _ value: JSONValue, at pointer: JSONPointer, of document: SourceDocument, namespace: JSONValue?
    ) {
        guard value.kind == .object else {
            report(document, pointer, "expected a definition: an object with 'name', 'schedule_type', …")
            return
        }
        let before = problems.count
        let named = value["name"]
        let name = named?.string
        if name == nil {
            let got = named.map { ", got \($0.kind): write it in quotes" } ?? ""
            report(document, pointer.appending("name"), "is required in a file: a text in quotes or without\(got)")
        }
        let own = value["namespace"] != nil
        let place = own ? pointer.appending("namespace") : JSONPointer.root.appending("namespace")
        let chosen = self.namespace(value["namespace"] ?? namespace, at: place, of: document, name: name)
        expectOwner(value["metadata"], at: pointer.appending("metadata"), of: document, name: name)
        guard problems.count == before, let name else { return }
        let item = FileItem(
            document: document, pointer: pointer, name: name, namespace: chosen, body: body(of: value))
        let line = document.line(of: pointer).map { ":\($0)" } ?? ""
        let key = "\(chosen?.description ?? "")/\(name)"
        if let first = places.updateValue("\(document.file)\(line)", forKey: key) {
            places[key] = first
            report(document, pointer.appending("name"), "stands in the files twice, first in \(first)", name: name)
            return
        }
        items.append(item)
    }

    private mutating func namespace(
        _ value: JSONValue?, at place: JSONPointer, of document: SourceDocument, name: String?
    ) -> Namespace? {
        guard let value, !value.isNull else { return reading.namespace }
        guard let text = value.string else {
            report(document, place, "expected a namespace, a text, got \(value.kind)", name: name)
            return nil
        }
        do throws(NameError) {
            let namespace = try Namespace(text)
            if let wanted = reading.namespace, wanted != namespace {
                report(document, place, "is another than --namespace \(wanted), got '\(text)'", name: name)
            }
            return namespace
        } catch {
            report(document, place, "\(error), got '\(text)'", name: name)
            return nil
        }
    }

    private mutating func expectOwner(
        _ metadata: JSONValue?, at place: JSONPointer, of document: SourceDocument, name: String?
    ) {
        guard let owner = reading.owner, let own = metadata?[Self.ownerKey], own.string != owner else { return }
        report(
            document, place.appending(Self.ownerKey), "is another owner than --owner \(owner): leave it out",
            name: name)
    }

    private func body(of value: JSONValue) -> [UInt8] {
        var writer = JSONWriter(capacity: value.bytes.count + 128)
        let metadata = value["metadata"]
        writer.beginObject()
        for member in value.members
        where member.name != "namespace" && !(isLabelled(metadata) && member.name == "metadata") {
            writer.name(dynamic: member.name)
            writer.value(member.value)
        }
        if isLabelled(metadata), let owner = reading.owner {
            writer.object("metadata") { writer in
                for member in metadata.map({ Array($0.members) }) ?? [] where member.name != Self.ownerKey {
                    writer.name(dynamic: member.name)
                    writer.value(member.value)
                }
                writer.name(dynamic: Self.ownerKey)
                writer.value(owner)
            }
        }
        writer.endObject()
        return writer.bytes
    }

    /// What is no object is left as it is, and refused where definitions are checked.
    private func isLabelled(_ metadata: JSONValue?) -> Bool {
        reading.owner != nil && (metadata.map { $0.isNull || $0.kind == .object } ?? true)
    }
}
