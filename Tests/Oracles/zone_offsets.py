"""Answers UTC offsets from Python's zoneinfo, which reads the same files with other code.

Input: for each zone a line with its name and the number of its questions, an empty line, then the questions: seconds
since 1970 as little-endian 64-bit integers, zone after zone. Output: a line with all abbreviations separated by blanks,
then for each question two little-endian 32-bit integers: the offset in seconds, and the abbreviation's place in the
line. PYTHONTZPATH names the folder; the environment must not hold the PyPI package tzdata's view instead.
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


abbreviations, answers = answer(*read(sys.argv[1]))
if sys.byteorder == "big":
    answers.byteswap()
with open(sys.argv[2], "wb") as file:
    file.write(" ".join(abbreviations).encode() + b"\n")
    answers.tofile(file)
