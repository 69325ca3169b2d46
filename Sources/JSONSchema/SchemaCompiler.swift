import JSONText

/// Turns a document into a graph of schemas.
///
/// First the document is walked along the keywords that hold schemas, to learn which `$id`s it has and what they are
/// relative to. Then the root is compiled, and what it reaches: each place of a document becomes one node, made before
/// its keywords are read, so that references in a circle find it.
struct SchemaCompiler {
    /// A value of a document; no two values begin at the same byte.
    private struct Place: Hashable {
        /// 0 is the document that is compiled, 1 the meta-schema.
        let document: Int
        let offset: Int
    }

    /// A schema where it stands.
    struct Source {
        let value: JSONValue
        let document: Int
        let pointer: JSONPointer
        /// What its references are relative to.
        let base: String

        func at(_ value: JSONValue, _ pointer: JSONPointer, base: String? = nil) -> Source {
            Source(value: value, document: document, pointer: pointer, base: base ?? self.base)
        }
    }

    private var graph = SchemaGraph()
    private var pointers: [JSONPointer] = []
    private var places: [Place: NodeID] = [:]
    private var bases: [Place: String] = [:]
    /// By the URI without a fragment; "" is the document itself.
    private var resources: [String: Source] = [:]
    /// By the URI with a fragment that is a name.
    private var named: [String: Source] = [:]
    private var hasMetaSchema = false
    private var indexes: [Place: [MemberName: JSONValue]] = [:]
    /// What references have reached and nobody has read yet: so a chain of references takes no stack.
    private var pending: [(node: NodeID, source: Source)] = []

    static func compile(_ document: JSONValue) throws(SchemaError) -> SchemaGraph {
        var compiler = SchemaCompiler()
        let root = Source(value: document, document: 0, pointer: .root, base: "")
        compiler.resources[""] = root
        compiler.register(root)
        _ = try compiler.node(root)
        while let (node, source) = compiler.pending.popLast() { try compiler.read(source, into: node) }
        try compiler.expectEnds()
        return compiler.graph
    }

    // MARK: Names

    private mutating func register(_ source: Source) {
        guard source.value.kind == .object else { return }
        var base = source.base
        // Beside a $ref all other keywords mean nothing.
        if source.value["$ref"] == nil, let id = source.value["$id"]?.string {
            let address = URIReference(id).resolved(at: URIReference(base))
            base = address.document
            let own = source.at(source.value, source.pointer, base: base)
            if resources[base] == nil { resources[base] = own }
            if let name = address.fragment, !name.isEmpty { named[base + "#" + name] = own }
        }
        bases[place(of: source)] = base
        for (value, tokens) in source.value.subschemas {
            let pointer = tokens.reduce(source.pointer) { $0.appending($1) }
            register(source.at(value, pointer, base: base))
        }
    }

    private func place(of source: Source) -> Place {
        Place(document: source.document, offset: source.value.range.lowerBound)
    }

    // MARK: References

    private mutating func resolve(_ reference: String, in source: Source) throws(SchemaError) -> Source {
        let pointer = source.pointer.appending("$ref")
        let address = URIReference(reference).resolved(at: URIReference(source.base))
        if address.document == MetaSchema.address, !hasMetaSchema, case .success(let value) = MetaSchema.document {
            hasMetaSchema = true
            if resources[MetaSchema.address] == nil {
                register(Source(value: value, document: 1, pointer: .root, base: ""))
            }
        }
        guard let resource = resources[address.document] else {
            throw SchemaError(
                .unresolved, pointer,
                "'\(reference.prefix(160))' is not in this document; nothing is fetched from elsewhere")
        }
        guard let fragment = address.decodedFragment else {
            throw SchemaError(.unresolved, pointer, "'\(reference.prefix(160))' has a malformed fragment")
        }
        if fragment.isEmpty { return resource }
        if !fragment.hasPrefix("/"), let found = named[address.document + "#" + fragment] { return found }
        if let path = JSONPointer(fragment), let found = follow(path, from: resource) { return found }
        throw SchemaError(.unresolved, pointer, "'\(reference.prefix(160))' names nothing in this document")
    }

    private mutating func follow(_ path: JSONPointer, from resource: Source) -> Source? {
        var source = resource
        for token in path.tokens {
            guard let next = child(token, of: source) else { return nil }
            let inner = source.at(next, source.pointer.appending(token))
            source = source.at(next, inner.pointer, base: bases[place(of: inner)])
        }
        return source
    }

    /// Members of large objects are looked up in an index: thousands of references may go through one `definitions`.
    private mutating func child(_ token: String, of source: Source) -> JSONValue? {
        let value = source.value
        guard value.kind == .object, value.count > 16 else { return value[JSONPointer.root.appending(token)] }
        let place = place(of: source)
        if let index = indexes[place] { return index[MemberName(token)] }
        var index: [MemberName: JSONValue] = [:]
        for member in value.members { index[MemberName(member.name)] = member.value }
        indexes[place] = index
        return index[MemberName(token)]
    }

    // MARK: Nodes

    /// The node of a schema that a keyword holds, read at once: no deeper than the document.
    mutating func node(_ source: Source) throws(SchemaError) -> NodeID {
        if let known = places[place(of: source)] { return known }
        let id = reserve(source)
        try read(source, into: id)
        return id
    }

    private mutating func reserve(_ source: Source) -> NodeID {
        let id = graph.nodes.count
        graph.nodes.append(.always(true))
        pointers.append(source.pointer)
        places[place(of: source)] = id
        return id
    }

    private mutating func read(_ source: Source, into id: NodeID) throws(SchemaError) {
        let place = place(of: source)
        guard source.value.kind == .object else {
            guard let answer = source.value.bool else {
                throw SchemaError(.invalid, source.pointer, "expected a schema: an object, true or false")
            }
            graph.nodes[id] = .always(answer)
            return
        }
        if source.document == 0, bases[place] == nil {
            // It stands where no keyword holds schemas; only a reference made it one.
            try expectSchema(source)
        }
        let based = source.at(source.value, source.pointer, base: bases[place] ?? source.base)
        if let reference = source.value["$ref"]?.string {
            let target = try resolve(reference, in: based)
            if let known = places[self.place(of: target)] {
                graph.nodes[id] = .reference(known)
            } else {
                let node = reserve(target)
                graph.nodes[id] = .reference(node)
                pending.append((node, target))
            }
            return
        }
        let keywords = try keywords(of: based)
        graph.nodes[id] = keywords.isEmpty ? .always(true) : .keywords(keywords)
    }

    private mutating func expectSchema(_ source: Source) throws(SchemaError) {
        register(source)
        guard case .success(let meta) = MetaSchema.compiled else { return }
        let problems = meta.validate(source.value)
        guard problems.isEmpty else {
            throw SchemaError(
                .invalid,
                problems.map { problem in
                    SchemaProblem(problem.pointer.tokens.reduce(source.pointer) { $0.appending($1) }, problem.message)
                })
        }
    }

    // MARK: Circles

    /// A schema that leads back to itself on the same value would be applied for ever.
    private func expectEnds() throws(SchemaError) {
        enum Mark { case open, done }
        var marks: [NodeID: Mark] = [:]
        for root in graph.nodes.indices where marks[root] == nil {
            // Depth first, without recursion: a chain of references may be as long as the document.
            var path: [(node: NodeID, next: [NodeID])] = [(root, inPlace(root))]
            marks[root] = .open
            while let top = path.popLast() {
                var rest = top.next
                guard let next = rest.popLast() else {
                    marks[top.node] = .done
                    continue
                }
                path.append((top.node, rest))
                if marks[next] == .open {
                    throw SchemaError(
                        .endless, pointers[next], "leads back to itself without going into the value: it never ends")
                }
                guard marks[next] == nil else { continue }
                marks[next] = .open
                path.append((next, inPlace(next)))
            }
        }
    }

    private func inPlace(_ id: NodeID) -> [NodeID] {
        switch graph.nodes[id] {
        case .always: []
        case .reference(let node): [node]
        case .keywords(let keywords): keywords.flatMap(\.inPlace)
        }
    }
}

extension JSONValue {
    private static let single = [
        "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
    ]
    private static let lists = ["allOf", "anyOf", "items", "oneOf"]
    private static let maps = ["definitions", "dependencies", "patternProperties", "properties"]

    /// The schemas that stand in this one, each with its way from here.
    fileprivate var subschemas: [(value: JSONValue, tokens: [String])] {
        var found: [(JSONValue, [String])] = []
        for member in members {
            let name = member.name
            if Self.single.contains(name), member.value.kind == .object { found.append((member.value, [name])) }
            if Self.lists.contains(name) {
                for (index, element) in member.value.elements.enumerated() {
                    found.append((element, [name, String(index)]))
                }
            }
            if Self.maps.contains(name) {
                for inner in member.value.members { found.append((inner.value, [name, inner.name])) }
            }
        }
        return found
    }
}
