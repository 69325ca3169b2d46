import Glibc
import LocalServers
import NATSClient
import ServiceFixture

extension ServiceFixture {
    /// Deletes a stream under instances that make it anew at once. nats-server 2.9 removes its files after the answer, and
    /// with them those of a stream that was made meanwhile: until they are gone the instances stand still.
    func delete(stream: String, under instances: [ServiceInstance]) async throws {
        for instance in instances { instance.pause() }
        defer { for instance in instances { instance.resume() } }
        try await JetStreamAPI(client).deleteStream(stream)
        let files = "\(nats.folder)/jetstream/jetstream/$G/streams/\(stream)"
        // Shorter than any lease.
        _ = await waitUntil(.seconds(1)) { access(files, F_OK) != 0 }
    }
}
