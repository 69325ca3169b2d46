"""What workers say of tracked executions, and what they are told."""

from parts import boolean, closed, identifier, integer, number, record, string

FENCE = {"description": "Scheduler-Fence of the message that came; here, or as a header of the report",
         "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]*$"}]}
PROGRESS = {"description": "how far it is: at most 1 KiB of JSON"}

# kind: (what it says, its members)
REPORTS = {
    "started": ("It began.", {"fence": FENCE, "progress": PROGRESS}),
    "heartbeat": ("It is alive.", {"fence": FENCE, "progress": PROGRESS}),
    "succeeded": ("It is done.", {
        "fence": FENCE, "progress": PROGRESS, "result": {"description": "what came of it: at most 4 KiB of JSON"}}),
    "failed": ("It failed.", {
        "fence": FENCE, "progress": PROGRESS, "error": {"description": "why, in words; beyond 1024 characters it is cut"},
        "fatal": boolean("no further attempt can help", default=False),
        "retry_after_seconds": number("when the next attempt may come, in place of the schedule's pause", 0, 31_622_400)}),
}
STOP = closed({
    "type": {"const": "io.carillon.v1.stop_request"}, "execution_id": identifier(), "attempt": integer("", 1),
    "fence": integer("of the attempt that shall stop", 1), "reason": string(),
}, ["reason"], "Nobody waits for the attempt any more.")


def report_schema(kind):
    text, members = REPORTS[kind]
    return {"title": f"a worker's report: {kind}"} | record(members, text=f"{text} An empty body is as good as {{}}.")
