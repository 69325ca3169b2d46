import LocalServers

/// The tables of a page in docs/: what tests hold the program to.
package enum DocumentedTable {
    /// Each line of a table as its cells, heads and rules of tables included.
    /// - Parameter page: its path from the package's folder.
    package static func rows(of page: String) -> [[String]] {
        Filesystem.tail(page, bytes: 1 << 20).split(separator: "\n").filter { $0.hasPrefix("| ") }.map { line in
            line.split(separator: "|").map { cell in
                let end = cell.lastIndex { $0 != " " }.map { cell.index(after: $0) } ?? cell.startIndex
                return String(cell[..<end].drop { $0 == " " })
            }
        }
    }
}
