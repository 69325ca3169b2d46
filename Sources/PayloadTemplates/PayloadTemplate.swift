package import JSONText

/// A payload whose strings are templates, compiled once and rendered for each fire.
///
/// The payload is written compactly, its members in their order and its numbers as they are; the values of strings that
/// have tags are left open, and filled at each fire. Names of members are no templates.
package struct PayloadTemplate: Sendable {
    /// What is wrong with one string.
    package struct Problem: Hashable, Sendable {
        /// The string's place in the payload.
        package let pointer: JSONPointer
        package let message: String
    }

    package struct Refusal: Error, Sendable, CustomStringConvertible {
        /// At least one.
        package let problems: [Problem]

        package var description: String {
            problems.first.map { $0.pointer == .root ? $0.message : "\($0.pointer): \($0.message)" } ?? "is no template"
        }
    }

    /// Tags in one payload, at most.
    package static let mostTags = 256

    private let skeleton: [UInt8]
    /// Where rendered strings go in, in their order.
    private let openings: [(offset: Int, string: TemplateString)]

    /// - Parameters:
    ///   - payload: one JSON text.
    ///   - metadata: the names of the schedule's own pairs that have no '.' in them may be shown.
    ///   - hasEvent: what a message said may be shown.
    package init(_ payload: JSONValue, metadata: [String], hasEvent: Bool = false) throws(Refusal) {
        var compiler = Compiler(metadata: Set(metadata), hasEvent: hasEvent)
        compiler.write(payload, at: .root)
        if compiler.tags > Self.mostTags {
            compiler.problems.append(
                Problem(pointer: .root, message: "expected at most \(Self.mostTags) tags in a payload, got more"))
        }
        guard compiler.problems.isEmpty else { throw Refusal(problems: compiler.problems) }
        skeleton = compiler.writer.bytes
        openings = compiler.openings
    }

    /// - Parameter text: what may be no JSON at all.
    package init(_ text: [UInt8], metadata: [String], hasEvent: Bool = false) throws(Refusal) {
        let payload: JSONValue
        do { payload = try JSONValue.parse(text) } catch {
            throw Refusal(problems: [Problem(pointer: JSONPointer(error.pointer) ?? .root, message: error.message)])
        }
        try self.init(payload, metadata: metadata, hasEvent: hasEvent)
    }

    /// The payload of one fire. The same values give the same bytes.
    package func render(_ values: FireValues) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(skeleton.count + openings.count * 64)
        var position = 0
        for (offset, string) in openings {
            bytes += skeleton[position..<offset]
            bytes += JSONWriter.bytes(of: string.render(values))
            position = offset
        }
        bytes += skeleton[position...]
        return bytes
    }

    /// No fire of the schedule has more bytes. Sections count whether they are shown or not.
    package func mostBytes(_ common: FireValues.Common) -> Int {
        var bytes = skeleton.count
        for opening in openings {
            bytes += 2 + opening.string.literalBytes
            for name in opening.string.shown {
                bytes +=
                    TemplateVariable(rawValue: name)?.mostBytes(in: common) ?? EventVariable.mostBytes(of: name)
                    ?? Self.mostBytes(of: name, common)
            }
        }
        return bytes
    }

    private static func mostBytes(of name: String, _ common: FireValues.Common) -> Int {
        let key = name.dropFirst(TemplateVariable.metadata.count + 1)
        let value = common.metadata.last { $0.name.utf8.elementsEqual(key.utf8) }?.value ?? ""
        return JSONWriter.bytes(of: value).count - 2
    }

    /// Writes the skeleton. As deep as the payload, which its parser has bounded.
    private struct Compiler: ~Copyable {
        let metadata: Set<String>
        let hasEvent: Bool
        var writer = JSONWriter(capacity: 1024)
        var openings: [(offset: Int, string: TemplateString)] = []
        var problems: [Problem] = []
        var tags = 0

        init(metadata: Set<String>, hasEvent: Bool) {
            self.metadata = metadata
            self.hasEvent = hasEvent
        }

        mutating func write(_ value: JSONValue, at pointer: JSONPointer) {
            switch value.kind {
            case .object:
                writer.beginObject()
                for member in value.members {
                    let name = member.name
                    writer.name(dynamic: name)
                    write(member.value, at: pointer.appending(name))
                }
                writer.endObject()
            case .array:
                writer.beginArray()
                for (index, element) in value.elements.enumerated() { write(element, at: pointer.appending(index)) }
                writer.endArray()
            case .string: write(string: value, at: pointer)
            case .null, .bool, .number: writer.value(value)
            }
        }

        private mutating func write(string value: JSONValue, at pointer: JSONPointer) {
            let text = value.string ?? ""
            guard TagScan.hasTags(text) else { return writer.value(text) }
            guard tags <= PayloadTemplate.mostTags else { return }
            do throws(TagScan.Fault) {
                let string = try TemplateString(text, metadata: metadata, hasEvent: hasEvent)
                tags += string.tagCount
                // Sets the comma that belongs before it.
                writer.raw([])
                openings.append((writer.withBytes { $0.count }, string))
            } catch {
                let message = "\(error.message), at character \(error.position)"
                problems.append(Problem(pointer: pointer, message: message))
            }
        }
    }
}
