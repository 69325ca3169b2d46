import JSONText

extension Validation {
    mutating func judge(number value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        guard take(1 + value.bytes.count / 16) else { return false }
        let number = ExactDecimal(value.bytes)
        switch keyword {
        case .multipleOf(let divisor, let text):
            return number.isMultiple(of: divisor)
                || refuse(telling, "expected a multiple of \(text), got \(value.shown)")
        case .bound(let bound):
            return bound.holds(for: number)
                || refuse(telling, "expected a number \(bound.side.rawValue) \(bound.text), got \(value.shown)")
        default: return true
        }
    }

    mutating func judge(string value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        guard take(1 + value.bytes.count / 64) else { return false }
        let text = value.string ?? ""
        switch keyword {
        case .maxLength(let most):
            let count = text.unicodeScalars.count
            return count <= most || refuse(telling, "expected at most \(most) characters, got \(count)")
        case .minLength(let least):
            let count = text.unicodeScalars.count
            return count >= least || refuse(telling, "expected at least \(least) characters, got \(count)")
        case .pattern(let pattern):
            return matches(pattern, text)
                || refuse(telling, "expected a match of the pattern \(pattern.text.prefix(120)), got \(value.shown)")
        default: return true
        }
    }

    mutating func matches(_ pattern: Pattern, _ text: String) -> Bool {
        guard take(1) else { return false }
        switch pattern.match(text, steps: &steps) {
        case .match: return true
        case .noMatch: return false
        case .limit:
            let reason =
                text.utf8.count > Pattern.longestSubject
                ? "\(text.utf8.count) bytes, expected at most \(Pattern.longestSubject)" : "too many steps"
            stop("cannot be matched with the pattern \(pattern.text.prefix(120)): \(reason); it is refused")
            return false
        }
    }

    mutating func judge(array value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        switch keyword {
        case .items(let node): return apply(value, telling) { _ in node }
        case .tuple(let nodes, let others): return apply(value, telling) { $0 < nodes.count ? nodes[$0] : others }
        case .maxItems(let most):
            return value.count <= most || refuse(telling, "expected at most \(most) elements, got \(value.count)")
        case .minItems(let least):
            return value.count >= least || refuse(telling, "expected at least \(least) elements, got \(value.count)")
        case .uniqueItems: return judgeUnique(value, telling)
        case .contains(let node):
            for element in value.elements where apply(node, to: element, telling: false) { return true }
            return refuse(telling, "expected an element that satisfies 'contains', got none")
        default: return true
        }
    }

    private mutating func apply(_ array: JSONValue, _ telling: Bool, by choose: (Int) -> NodeID?) -> Bool {
        var isValid = true
        for (index, element) in array.elements.enumerated() {
            guard let node = choose(index) else { break }
            if apply(node, toElement: index, element, telling: telling) { continue }
            isValid = false
            if !telling || !goesOn { break }
        }
        return isValid
    }

    private mutating func judgeUnique(_ array: JSONValue, _ telling: Bool) -> Bool {
        guard take(1 + array.bytes.count / 8) else { return false }
        var seen: [EqualValue: Int] = [:]
        for (index, element) in array.elements.enumerated() {
            if let earlier = seen.updateValue(index, forKey: EqualValue(value: element)) {
                return refuse(telling, "expected different elements, got the same at \(earlier) and \(index)")
            }
        }
        return true
    }

    mutating func judge(object value: JSONValue, _ keyword: Keyword, _ telling: Bool) -> Bool {
        switch keyword {
        case .maxProperties(let most):
            return value.count <= most || refuse(telling, "expected at most \(most) members, got \(value.count)")
        case .minProperties(let least):
            return value.count >= least || refuse(telling, "expected at least \(least) members, got \(value.count)")
        case .required(let names): return judge(value, has: names, because: "", telling)
        case .members(let rules): return judge(value, by: rules, telling)
        case .propertyNames(let node): return judgeNames(of: value, node, telling)
        case .requiredWith(let name, let names):
            guard take(value.count), value[name] != nil else { return true }
            return judge(value, has: names, because: " where '\(name.prefix(120))' is", telling)
        case .schemaWith(let name, let node):
            guard take(value.count), value[name] != nil else { return true }
            return apply(node, to: value, telling: telling)
        default: return true
        }
    }

    private mutating func judge(
        _ value: JSONValue, has names: [String], because condition: String, _ telling: Bool
    ) -> Bool {
        var isValid = true
        for name in names {
            // A member is looked for among all of them.
            guard take(1 + value.count / 4) else { return false }
            if value[name] != nil { continue }
            isValid = refuse(telling, "expected a member '\(name.prefix(120))'\(condition), got none")
            if !telling || !goesOn { break }
        }
        return isValid
    }

    private mutating func judge(_ value: JSONValue, by rules: MemberRules, _ telling: Bool) -> Bool {
        var isValid = true
        for member in value.members {
            guard take(1) else { return false }
            let name = member.name
            var nodes: [NodeID] = []
            if let node = rules.named[MemberName(name)] { nodes.append(node) }
            for (pattern, node) in rules.patterned where matches(pattern, name) { nodes.append(node) }
            if nodes.isEmpty, let others = rules.others { nodes.append(others) }
            for node in nodes where !apply(node, toMember: name, member.value, telling: telling) { isValid = false }
            if !isValid, !telling || !goesOn { break }
        }
        return isValid && goesOn
    }

    /// A name has no place of its own: the problem is told at its member, in words of the name's.
    private mutating func judgeNames(of value: JSONValue, _ node: NodeID, _ telling: Bool) -> Bool {
        var isValid = true
        for member in value.members {
            let name = member.name
            var writer = JSONWriter(capacity: 64)
            writer.value(name)
            guard let text = try? JSONValue.parse(writer.bytes) else { continue }
            if apply(node, to: text, telling: false) { continue }
            isValid = refuse(telling, "expected other names of members, got '\(name.prefix(120))'")
            if !telling || !goesOn { break }
        }
        return isValid
    }
}
