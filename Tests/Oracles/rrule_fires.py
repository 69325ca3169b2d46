"""Answers occurrences of recurrence rules from python-dateutil.

Input: a JSON list of [lines, DTSTART, after, count]: an RRULE and perhaps EXDATE and RDATE, the start and an instant
as seconds of a wall clock since it showed 1970-01-01T00:00:00. Output: for each the next readings of that clock,
strictly later. Exit code 3 if python-dateutil is not installed.

Local time only: what becomes of a reading where clocks are moved is not dateutil's question, so the questions keep a
day away from any transition, and tables of our own hold what happens there.

Where dateutil is known to differ, so that the questions keep clear of it:
- A list of numbered and plain weekdays, `BYDAY=MO,-1FR`, is their intersection there; RFC 5545 makes it the union.
- BYWEEKNO without BYDAY means all seven days there; RFC 5545 takes the weekday from DTSTART.
- The last days of December may lie in week 1 of the next year. Counted from the end that is -52 or -53, which
  dateutil does not see; -1 to -51 agree.
- BYSETPOS of a weekly rule counts in the first week only the days from DTSTART on; RFC 5545 counts the whole week.
  Questions about such rules begin a week after DTSTART, and have no COUNT.
- UNTIL must be local where DTSTART has no zone; its `Z` is taken off, and questions with UNTIL are in UTC.
- A rule that never fires is searched for until the year 9999; the questions have an answer.
- It walks from DTSTART: rules of hours, minutes and seconds begin at most some days before they are asked.
"""
import json
import re
import sys
from datetime import datetime, timedelta

try:
    from dateutil.rrule import rrulestr
except ImportError:
    sys.exit(3)

EPOCH = datetime(1970, 1, 1)


def fires(lines, start, after, count):
    local = re.sub(r"(UNTIL=\w+)Z", r"\1", lines)
    rules = rrulestr(local, dtstart=EPOCH + timedelta(seconds=start), forceset=True)
    found = rules.xafter(EPOCH + timedelta(seconds=after), count=count)
    return [round((reading - EPOCH).total_seconds()) for reading in found]


with open(sys.argv[1]) as questions, open(sys.argv[2], "w") as answers:
    json.dump([fires(*question) for question in json.load(questions)], answers)
