import JSONText

/// Reads the keywords of one schema. Their types are right: the meta-schema has seen them.
extension SchemaCompiler {
    /// - Parameter source: an object without `$ref`.
    mutating func keywords(of source: Source) throws(SchemaError) -> [Keyword] {
        var keywords = try scalarKeywords(of: source.value, at: source.pointer)
        keywords += try arrayKeywords(of: source)
        keywords += try objectKeywords(of: source)
        keywords += try applicators(of: source)
        return keywords
    }

    private func scalarKeywords(of value: JSONValue, at pointer: JSONPointer) throws(SchemaError) -> [Keyword] {
        var keywords: [Keyword] = []
        if let type = value["type"] {
            let names = type.kind == .array ? Array(type.elements) : [type]
            keywords.append(
                .types(names.compactMap { $0.string.flatMap(ValueTypes.init) }.reduce([]) { $0.union($1) }))
        }
        if let values = value["enum"] { keywords.append(.enumeration(Array(values.elements))) }
        if let constant = value["const"] { keywords.append(.constant(constant)) }
        if let number = value["multipleOf"] {
            let divisor = ExactDecimal(number.bytes)
            guard divisor.digits.count <= ExactDecimal.mostDivisorDigits else {
                throw SchemaError(
                    .invalid, pointer.appending("multipleOf"),
                    "expected at most \(ExactDecimal.mostDivisorDigits) significant digits, got \(divisor.digits.count)"
                )
            }
            keywords.append(.multipleOf(divisor, text: number.shown))
        }
        let bounds: [(name: String, side: NumberBound.Side)] = [
            ("maximum", .maximum), ("exclusiveMaximum", .exclusiveMaximum), ("minimum", .minimum),
            ("exclusiveMinimum", .exclusiveMinimum),
        ]
        for (name, side) in bounds {
            guard let limit = value[name] else { continue }
            keywords.append(.bound(NumberBound(side: side, limit: ExactDecimal(limit.bytes), text: limit.shown)))
        }
        if let count = value.size("maxLength") { keywords.append(.maxLength(count)) }
        if let count = value.size("minLength") { keywords.append(.minLength(count)) }
        if let text = value["pattern"]?.string {
            keywords.append(.pattern(try pattern(text, at: pointer.appending("pattern"))))
        }
        return keywords
    }

    private func pattern(_ text: String, at pointer: JSONPointer) throws(SchemaError) -> Pattern {
        do { return try Pattern(text) } catch { throw SchemaError(.invalid, pointer, error.description) }
    }

    private mutating func arrayKeywords(of source: Source) throws(SchemaError) -> [Keyword] {
        let value = source.value
        var keywords: [Keyword] = []
        if let items = value["items"] {
            if items.kind == .array {
                let nodes = try list("items", of: source)
                keywords.append(.tuple(nodes, others: try single("additionalItems", of: source)))
            } else if let node = try single("items", of: source) {
                keywords.append(.items(node))
            }
        }
        if let count = value.size("maxItems") { keywords.append(.maxItems(count)) }
        if let count = value.size("minItems") { keywords.append(.minItems(count)) }
        if value["uniqueItems"]?.bool == true { keywords.append(.uniqueItems) }
        if let node = try single("contains", of: source) { keywords.append(.contains(node)) }
        return keywords
    }

    private mutating func objectKeywords(of source: Source) throws(SchemaError) -> [Keyword] {
        let value = source.value
        var keywords: [Keyword] = []
        if let count = value.size("maxProperties") { keywords.append(.maxProperties(count)) }
        if let count = value.size("minProperties") { keywords.append(.minProperties(count)) }
        if let names = value["required"] { keywords.append(.required(names.elements.compactMap(\.string))) }
        var rules = MemberRules()
        for (name, node) in try map("properties", of: source) { rules.named[MemberName(name)] = node }
        for (name, node) in try map("patternProperties", of: source) {
            let place = source.pointer.appending("patternProperties").appending(name)
            rules.patterned.append((try pattern(name, at: place), node))
        }
        rules.others = try single("additionalProperties", of: source)
        if !rules.isEmpty { keywords.append(.members(rules)) }
        if let node = try single("propertyNames", of: source) { keywords.append(.propertyNames(node)) }
        guard let dependencies = value["dependencies"] else { return keywords }
        let pointer = source.pointer.appending("dependencies")
        for member in dependencies.members {
            if member.value.kind == .array {
                keywords.append(.requiredWith(member.name, member.value.elements.compactMap(\.string)))
            } else {
                let inner = source.at(member.value, pointer.appending(member.name))
                keywords.append(.schemaWith(member.name, try node(inner)))
            }
        }
        return keywords
    }

    private mutating func applicators(of source: Source) throws(SchemaError) -> [Keyword] {
        var keywords: [Keyword] = []
        if source.value["allOf"] != nil { keywords.append(.allOf(try list("allOf", of: source))) }
        if source.value["anyOf"] != nil { keywords.append(.anyOf(try list("anyOf", of: source))) }
        if source.value["oneOf"] != nil { keywords.append(.oneOf(try list("oneOf", of: source))) }
        if let node = try single("not", of: source) { keywords.append(.not(node)) }
        if let condition = try single("if", of: source) {
            let then = try single("then", of: source)
            keywords.append(.conditional(if: condition, then: then, else: try single("else", of: source)))
        }
        return keywords
    }

    private mutating func single(_ name: String, of source: Source) throws(SchemaError) -> NodeID? {
        guard let value = source.value[name] else { return nil }
        return try node(source.at(value, source.pointer.appending(name)))
    }

    private mutating func list(_ name: String, of source: Source) throws(SchemaError) -> [NodeID] {
        guard let value = source.value[name] else { return [] }
        let pointer = source.pointer.appending(name)
        var nodes: [NodeID] = []
        for (index, element) in value.elements.enumerated() {
            nodes.append(try node(source.at(element, pointer.appending(index))))
        }
        return nodes
    }

    private mutating func map(_ name: String, of source: Source) throws(SchemaError) -> [(String, NodeID)] {
        guard let value = source.value[name] else { return [] }
        let pointer = source.pointer.appending(name)
        var nodes: [(String, NodeID)] = []
        for member in value.members {
            nodes.append((member.name, try node(source.at(member.value, pointer.appending(member.name)))))
        }
        return nodes
    }
}

extension JSONValue {
    /// A keyword that counts; beyond what an `Int` holds it is as good as without end.
    fileprivate func size(_ name: String) -> Int? {
        guard let value = self[name] else { return nil }
        return value.int64.map { Int($0) } ?? Int.max
    }

    /// The value as a problem shows it: its bytes, cut short.
    var shown: String {
        let bytes = bytes
        guard bytes.count > 64 else { return String(decoding: bytes, as: UTF8.self) }
        // Cut where a scalar begins.
        var end = bytes.startIndex + 60
        while end > bytes.startIndex, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self) + "…"
    }
}
