package import JSONText
import SchedulerCore

/// Whom a definition of a file follows (`after`), as far as it can be read: what is wrong with it the check says.
package struct FileLink: Sendable, Equatable {
    /// Within the definition: `/after/all/0/schedule`.
    package let pointer: JSONPointer
    package let name: String
}

extension FileItem {
    package var links: [FileLink] {
        let body = try? JSONValue.parse(body, limits: JSONLimits(maxDepth: 64, maxBytes: 64 << 20))
        guard let after = body?["after"], after.kind == .object else { return [] }
        let root = JSONPointer.root.appending("after")
        func link(_ value: JSONValue, _ pointer: JSONPointer) -> [FileLink] {
            guard value.kind == .object, let name = value["schedule"]?.string else { return [] }
            return [FileLink(pointer: pointer.appending("schedule"), name: name)]
        }
        return link(after, root)
            + ["all", "any"].flatMap { join in
                guard let list = after[join], list.kind == .array else { return [FileLink]() }
                return list.elements.enumerated().flatMap { link($1, root.appending(join).appending($0)) }
            }
    }
}

/// In which order definitions are put: one that follows others of the files comes after them.
package enum FollowOrder {
    /// Groups that can be put one after the other, each side by side, as indices. What follows itself in a circle comes
    /// last: the service says so.
    package static func waves(of items: [FileItem]) -> [[Int]] {
        var places: [String: Int] = [:]
        for (index, item) in items.enumerated() { places[key(item.namespace, item.name)] = index }
        var followed = items.map { item in
            Set(item.links.compactMap { places[key(item.namespace, $0.name)] })
        }
        var left = Set(items.indices)
        var waves: [[Int]] = []
        while !left.isEmpty {
            let free = left.filter { followed[$0].isDisjoint(with: left) }
            let wave = free.isEmpty ? left : free
            waves.append(wave.sorted())
            left.subtract(wave)
            for index in wave { followed[index] = [] }
        }
        return waves
    }

    private static func key(_ namespace: Namespace?, _ name: String) -> String {
        "\(namespace?.description ?? "")/\(name)"
    }
}
