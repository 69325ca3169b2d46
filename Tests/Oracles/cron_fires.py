"""Answers occurrences from croniter.

Input: a JSON list of [expression, zone, seconds since 1970, count]. Output: for each the seconds since 1970 of
the next occurrences, strictly later. Exit code 3 if croniter is not installed.

Where croniter is known to differ, so that the questions keep clear of it:
- It follows a rule of its own where clocks are moved; questions stay a day away from any transition.
- A day field that lists every value (`1-31`, `*/1`) counts as `*`; here only `*` itself is unrestricted, as the
  Open Cron Pattern Specification says.
- It reads a range of one value, such as `4-4`, as the whole range; here it is that value.
- It reads `5/15` as `5-59/15` and `22-2` as wrapping around; both are refused here.
- It takes six fields with the second last unless told otherwise, and steps beyond the range are an error.
"""
import json
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

try:
    from croniter import croniter
except ImportError:
    sys.exit(3)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def fires(expression, zone, seconds, count):
    start = (EPOCH + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))
    found = croniter(expression, start, second_at_beginning=True)
    return [round(found.get_next(datetime).timestamp()) for _ in range(count)]


with open(sys.argv[1]) as questions, open(sys.argv[2], "w") as answers:
    json.dump([fires(*question) for question in json.load(questions)], answers)
