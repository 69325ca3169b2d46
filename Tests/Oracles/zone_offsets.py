"""Answers UTC offsets from Python's zoneinfo, which reads the same files with other code.

Input: for each zone a line with its name and the number of its questions, an empty line, then the questions: seconds
since 1970 as little-endian 64-bit integers, zone after zone. Output: a line with all abbreviations separated by blanks,
a line with the number of changes of each zone; then for each question two little-endian 32-bit integers: the offset in
seconds, and the abbreviation's place in the line; then the changes, 64-bit integers, zone after zone: the instants from
1970 to 2100 at which the offset is another one than a second before, found by looking every ten days. PYTHONTZPATH names the folder; the environment must not hold the PyPI package tzdata's view instead.
"""
import sys
from array import array
from datetime import datetime
from zoneinfo import ZoneInfo


def read(path):
    with open(path, "rb") as file:
        zones = []
        while line := file.readline().strip():
            name, count = line.decode().split(" ")
            zones.append((name, int(count)))
        questions = array("q")
        questions.frombytes(file.read())
    if sys.byteorder == "big":
        questions.byteswap()
    return zones, questions


def answer(zones, questions):
    places = {}
    answers = array("i")
    position = 0
    for name, count in zones:
        zone = ZoneInfo(name)
        for seconds in questions[position : position + count]:
            local = datetime.fromtimestamp(seconds, zone)
            offset = local.utcoffset()
            answers.append(offset.days * 86400 + offset.seconds)
            answers.append(places.setdefault(local.tzname(), len(places)))
        position += count
    return places, answers


def changes(name):
    zone = ZoneInfo(name)

    def offset(seconds):
        return datetime.fromtimestamp(seconds, zone).utcoffset()

    found = array("q")
    before, before_offset = 0, offset(0)
    for after in range(STEP, END + STEP, STEP):
        after_offset = offset(after)
        if after_offset != before_offset:
            low, high = before, after
            while high - low > 1:
                middle = (low + high) // 2
                if offset(middle) == before_offset:
                    low = middle
                else:
                    high = middle
            found.append(high)
        before, before_offset = after, after_offset
    return found


STEP = 10 * 86400
END = 4133980800

zones, questions = read(sys.argv[1])
abbreviations, answers = answer(zones, questions)
found = [changes(name) for name, _ in zones]
with open(sys.argv[2], "wb") as file:
    file.write(" ".join(abbreviations).encode() + b"\n")
    file.write(" ".join(str(len(list)) for list in found).encode() + b"\n")
    for numbers in [answers] + found:
        if sys.byteorder == "big":
            numbers.byteswap()
        numbers.tofile(file)
