"""Answers UTC offsets from Python's zoneinfo, which reads the same files with other code.

Input: a JSON list of [zone, seconds since 1970]. Output: a JSON list of [offset in seconds, abbreviation].
PYTHONTZPATH names the folder; the environment must not hold the PyPI package tzdata's view instead.
"""
import json
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def answer(zone, seconds):
    local = (EPOCH + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))
    return [int(local.utcoffset().total_seconds()), local.tzname()]


with open(sys.argv[1]) as questions, open(sys.argv[2], "w") as answers:
    json.dump([answer(zone, seconds) for zone, seconds in json.load(questions)], answers)
