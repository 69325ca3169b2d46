import JSONText
import Mustache

/// One string of a payload that has tags, compiled.
///
/// Mustache sees no more of it than it must: whole lines before the first tag and after the last one stand beside it.
/// (Its parser counts characters from its place to the end at each tag, and drops white space at the end of a text.)
struct TemplateString: Sendable {
    /// So many bytes Mustache may see of one string.
    static let longest = 16_384

    private let before: String
    private let template: MustacheTemplate
    private let after: String
    /// As JSON with its escapes, without the quotes and without what variables give.
    let literalBytes: Int
    /// The variables that it shows, each as often as it does.
    let shown: [String]
    let tagCount: Int

    init(_ text: String, metadata: Set<String>, hasEvent: Bool = false) throws(TagScan.Fault) {
        let scan = try TagScan(text)
        let tags = scan.tags
        for tag in tags where tag.kind != .comment && !Self.isKnown(tag.name, metadata) {
            if hasEvent, EventVariable.isKnown(tag.name) { continue }
            throw scan.fault(tag.range.lowerBound, "there is no variable '\(tag.name.prefix(64))'")
        }
        guard tags.count <= PayloadTemplate.mostTags else {
            throw scan.fault(
                text.startIndex, "expected at most \(PayloadTemplate.mostTags) tags in a payload, got \(tags.count)")
        }
        let first = tags.first?.range.lowerBound ?? text.endIndex
        let last = tags.last?.range.upperBound ?? text.endIndex
        let start = text.utf8[..<first].lastIndex(of: 0x0A).map { text.utf8.index(after: $0) } ?? text.startIndex
        let end = text.utf8[last...].firstIndex(of: 0x0A).map { text.utf8.index(after: $0) } ?? text.endIndex
        before = String(text[..<start])
        after = String(text[end...])
        let middle = String(text[start..<end])
        guard middle.utf8.count <= Self.longest else {
            throw scan.fault(
                first, "the lines with tags take \(middle.utf8.count) bytes, expected at most \(Self.longest)")
        }
        template = try Self.parse(middle, in: scan, from: start)
        shown = tags.filter { $0.kind == .variable }.map(\.name)
        tagCount = tags.count
        var literal = ""
        var position = text.startIndex
        for tag in tags {
            literal += text[position..<tag.range.lowerBound]
            position = tag.range.upperBound
        }
        literal += text[position...]
        literalBytes = JSONWriter.bytes(of: literal).count - 2
    }

    private static func isKnown(_ name: String, _ metadata: Set<String>) -> Bool {
        if TemplateVariable(rawValue: name) != nil { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0] == TemplateVariable.metadata && metadata.contains(String(parts[1]))
    }

    /// The pragma is a line of its own before the text's first: Mustache takes it away whole, and nothing it renders is
    /// escaped for HTML.
    private static func parse(
        _ text: String, in scan: TagScan, from start: String.Index
    ) throws(TagScan.Fault) -> MustacheTemplate {
        do { return try MustacheTemplate(string: "{{% CONTENT_TYPE:TEXT}}\n" + text) } catch {
            guard let error = error as? MustacheTemplate.ParserError else {
                throw scan.fault(start, "is no template: \(error)")
            }
            // Line 1 is the pragma's.
            var line = start
            for _ in 2..<max(2, error.context.lineNumber) {
                guard let next = text.utf8[line...].firstIndex(of: 0x0A) else { break }
                line = text.utf8.index(after: next)
            }
            let fault = scan.fault(line, words(for: error.error))
            throw TagScan.Fault(
                position: fault.position + max(0, error.context.columnNumber - 1), message: fault.message)
        }
    }

    private static func words(for error: any Error) -> String {
        switch error as? MustacheTemplate.Error {
        case .sectionCloseNameIncorrect: "this ends another section than the one that is open"
        case .expectedSectionEnd: "a section is not ended"
        case .unfinishedName: "a tag is not ended"
        default: "is no template: \(error)"
        }
    }

    func render(_ values: FireValues) -> String {
        before + template.render(RenderedValues(values: values)) + after
    }
}

/// What Mustache asks for the variables of a fire.
private struct RenderedValues: MustacheParent {
    let values: FireValues

    func child(named name: String) -> Any? {
        if name == TemplateVariable.metadata { return RenderedMetadata(pairs: values.common.metadata) }
        if name == EventVariable.prefix { return RenderedEvent(values: values.event) }
        return TemplateVariable(rawValue: name).map { RenderedText(renderText: $0.text(of: values)) }
    }
}

private struct RenderedEvent: MustacheParent {
    let values: EventValues?

    func child(named name: String) -> Any? {
        if name == EventVariable.header { return RenderedHeaders(headers: values?.headers ?? []) }
        return EventVariable(rawValue: name).map { RenderedText(renderText: values.map($0.text) ?? "") }
    }
}

/// Their names are compared without regard to case; of one that stands twice, the first counts.
private struct RenderedHeaders: MustacheParent {
    let headers: [EventValues.Header]

    func child(named name: String) -> Any? {
        let wanted = name.lowercased()
        return RenderedText(renderText: headers.first { $0.name.lowercased() == wanted }?.value ?? "")
    }
}

private struct RenderedMetadata: MustacheParent {
    let pairs: [(name: String, value: String)]

    func child(named name: String) -> Any? {
        pairs.last { $0.name.utf8.elementsEqual(name.utf8) }.map { RenderedText(renderText: $0.value) }
    }
}

/// A value as it is shown. As a section's, it is nothing where it is empty or 0: `{{#missed_count}}…{{/missed_count}}`.
private struct RenderedText: MustacheCustomRenderable, MustacheParent {
    let renderText: String
    var isNull: Bool { renderText.isEmpty || renderText == "0" }

    /// Inside its section the fire's variables are seen, and nothing of the text.
    func child(named: String) -> Any? { nil }
}

extension JSONWriter {
    /// A string as JSON, with its quotes.
    static func bytes(of text: String) -> [UInt8] {
        var writer = JSONWriter(capacity: text.utf8.count + 64)
        writer.value(text)
        return writer.bytes
    }
}
