/// What bounds a request, so that nobody can keep what others need.
package struct HTTPLimits: Sendable {
    /// For a request to arrive whole, from its first byte on.
    package var request = Duration.seconds(30)
    /// For a client to take what is written to it.
    package var write = Duration.seconds(30)
    /// What is still on its way after a request was refused is thrown away for so long.
    package var lingering = Duration.seconds(1)
    /// Between comments to a client that follows the events, while none come.
    package var keepAlive = Duration.seconds(15)
    package var connections = 1000
    /// Commands under way at once, their bodies in memory; more are told to come again.
    package var commands = 64
    /// Clients that follow the events.
    package var followers = 64
    package var headerBytes = 16_384

    package init() {}
}
