import NATSClient
import SchedulerWire

extension Session {
    /// Asks workers to stop, once what says so is committed. Said once, and to whoever listens: an attempt that goes on
    /// all the same has its deadline.
    package func ask(_ workers: [LifeWriter.WorkerToStop]) {
        for worker in workers {
            let request = StopRequest(
                execution: worker.execution, attempt: worker.attempt, fence: worker.fence, reason: worker.reason)
            let subject = request.subject(in: worker.namespace, prefix: configuration.subjectPrefix)
            guard let subject = try? Subject(subject) else { continue }
            _ = try? serving.publish(subject, payload: request.body)
        }
    }
}
