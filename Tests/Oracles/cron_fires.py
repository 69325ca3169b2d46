"""Answers occurrences from croniter and from cronsim.

Input: a JSON list of [program, expression, zone, seconds since 1970, count]. Output: for each the seconds since 1970 of
the next occurrences, strictly later, or a text: the program's complaint, "Endless" for a search that takes five
seconds of processor time. Exit code 3 if one is not installed. `docs/time-differences.md` tells which grammar is asked,
and where the programs differ.
"""
import json
import signal
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

try:
    from croniter import CroniterBadDateError, croniter
    from cronsim import CronSim
except ImportError:
    sys.exit(3)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


class Endless(Exception):
    pass


def give_up(signal_number, frame):
    raise Endless


signal.signal(signal.SIGVTALRM, give_up)
# A child that is started from a thread which takes no signals inherits that.
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGVTALRM, signal.SIGTERM})


def fires(program, expression, zone, seconds, count):
    start = (EPOCH + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))
    signal.setitimer(signal.ITIMER_VIRTUAL, 5)
    try:
        if program == "croniter":
            found = croniter(expression, start, second_at_beginning=True)
            search = lambda: found.get_next(datetime)
        else:
            found = CronSim(expression, start)
            search = found.__next__
        times = []
        while len(times) < count:
            times.append(search())
    except (CroniterBadDateError, StopIteration):
        pass  # There are no more.
    except Exception as complaint:
        return f"{type(complaint).__name__} {complaint}".strip()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return [(time.astimezone(timezone.utc) - EPOCH) // SECOND for time in times]


with open(sys.argv[1]) as questions, open(sys.argv[2], "w") as answers:
    json.dump([fires(*question) for question in json.load(questions)], answers)
