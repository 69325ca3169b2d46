/// Finds a name that stands twice in an object.
///
/// Few names are compared pairwise. Many go into an open-addressing table under `Hasher`, whose per-process random
/// seed keeps a hostile object from choosing names that collide. Names are compared as the bytes of their text:
/// escapes are resolved, Unicode equivalence plays no part.
struct DuplicateNames {
    /// Up to so many names, pairwise comparison is quicker than hashing.
    private static let fewNames = 8

    /// Indices of name nodes, 0 for empty: node 0 is the document and never a name.
    private var table: [UInt32] = []

    /// The first name of the object at `container` that repeats an earlier one.
    ///
    /// - Returns: the index of the name's node.
    mutating func first(in container: Int, of nodes: [JSONNode], _ source: UnsafeBufferPointer<UInt8>) -> Int? {
        let count = nodes[container].count
        if count < 2 { return nil }
        if count <= Self.fewNames { return firstPairwise(in: container, of: nodes, source) }
        var capacity = 32
        while capacity < count * 2 { capacity *= 2 }
        table.removeAll(keepingCapacity: true)
        table.append(contentsOf: repeatElement(0, count: capacity))
        var name = container + 1
        for _ in 0..<count {
            let hash = withText(of: nodes[name], source) { text in
                var hasher = Hasher()
                hasher.combine(bytes: UnsafeRawBufferPointer(text))
                return hasher.finalize()
            }
            var slot = hash & (capacity - 1)
            while table[slot] != 0 {
                if isSame(nodes[Int(table[slot])], nodes[name], source) { return name }
                slot = (slot + 1) & (capacity - 1)
            }
            table[slot] = UInt32(truncatingIfNeeded: name)
            name = Int(nodes[name + 1].next)
        }
        return nil
    }

    private func firstPairwise(
        in container: Int, of nodes: [JSONNode], _ source: UnsafeBufferPointer<UInt8>
    ) -> Int? {
        let end = Int(nodes[container].next)
        var name = Int(nodes[container + 2].next)
        while name < end {
            var earlier = container + 1
            while earlier < name {
                if isSame(nodes[earlier], nodes[name], source) { return name }
                earlier = Int(nodes[earlier + 1].next)
            }
            name = Int(nodes[name + 1].next)
        }
        return nil
    }

    private func isSame(_ one: JSONNode, _ other: JSONNode, _ source: UnsafeBufferPointer<UInt8>) -> Bool {
        if !one.hasEscapes, !other.hasEscapes, one.content.count != other.content.count { return false }
        return withText(of: one, source) { first in
            withText(of: other, source) { second in first.elementsEqual(second) }
        }
    }

    private func withText<Result>(
        of node: JSONNode, _ source: UnsafeBufferPointer<UInt8>,
        _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        let content = UnsafeBufferPointer(rebasing: source[node.content])
        return node.hasEscapes ? StringContent.resolve(content).withUnsafeBufferPointer(body) : body(content)
    }
}
