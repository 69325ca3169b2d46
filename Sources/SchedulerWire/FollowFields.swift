package import JSONText
package import SchedulerCore

/// `after`: `{"schedule":"name","on":"succeeded"}`, or several as `{"all":[…]}` or `{"any":[…]}`.
extension BodyReader {
    mutating func followRule(_ name: String) -> FollowRule? {
        guard let value = value(name) else { return nil }
        var reader = BodyReader(value, at: path(name))
        let rule = reader.followRule()
        absorb(&reader)
        return rule
    }

    private mutating func followRule() -> FollowRule? {
        let before = problems.count
        let joins = FollowRule.Join.allCases.filter { value($0.rawValue) != nil }
        let isSingle = value("schedule") != nil || joins.isEmpty
        guard joins.count + (isSingle ? 1 : 0) == 1 else {
            report(
                joins[0].rawValue, "expected one of 'schedule', 'all' and 'any', got several of them",
                as: .conflictingFields)
            _ = value("on")
            return nil
        }
        guard let join = joins.first else {
            let link = link()
            return problems.count == before ? link.map { FollowRule(links: [$0]) } : nil
        }
        let links = links(join.rawValue)
        return problems.count == before ? links.map { FollowRule(join: join, links: $0) } : nil
    }

    private mutating func links(_ name: String) -> [FollowRule.Link]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .array else {
            report(name, "expected a list, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard (1...FollowRule.mostLinks).contains(value.count) else {
            report(name, "expected 1 to \(FollowRule.mostLinks) schedules, got \(value.count)", as: .tooManyItems)
            return nil
        }
        var links: [FollowRule.Link] = []
        var names: Set<ScheduleName> = []
        for (index, element) in value.elements.enumerated() {
            var reader = BodyReader(element, at: path("\(name)/\(index)"))
            if let link = reader.link() {
                if !names.insert(link.schedule).inserted { reader.report("schedule", "stands in the list already") }
                links.append(link)
            }
            absorb(&reader)
        }
        return links
    }

    private mutating func link() -> FollowRule.Link? {
        let condition: EndCondition? = value("on") == nil ? .succeeded : choice("on")
        guard value("schedule") != nil else {
            report("schedule", "is required: the name of the schedule that is followed", as: .missingField)
            return nil
        }
        guard let text = string("schedule", most: 4096) else { return nil }
        do {
            let name = try ScheduleName(text)
            return condition.map { FollowRule.Link(schedule: name, condition: $0) }
        } catch {
            report("schedule", "\(error), got '\(text.prefix(160))'")
            return nil
        }
    }

    /// The rule of a stored schedule; nil where it cannot be read.
    package static func followRule(stored value: JSONValue) -> FollowRule? {
        var reader = BodyReader(value)
        return reader.followRule()
    }
}

extension JSONWriter {
    package mutating func value(_ rule: FollowRule) {
        if rule.join == .any, rule.links.count == 1, let link = rule.links.first { return value(link) }
        object { writer in
            writer.name(dynamic: rule.join.rawValue)
            writer.array { writer in
                for link in rule.links { writer.value(link) }
            }
        }
    }

    private mutating func value(_ link: FollowRule.Link) {
        object { writer in
            writer.member("schedule", link.schedule.description)
            writer.member("on", link.condition.rawValue)
        }
    }
}
