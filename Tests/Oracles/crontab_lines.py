"""Reads crontab lines with python-crontab.

crontab_lines.py QUESTIONS ANSWERS: a list of {"text", "user"}; answers the entries of each text, a line each:
expression, user and command apart by tabs.
"""

import json
import sys

try:
    from crontab import CronTab
except ImportError:
    sys.exit(3)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        questions = json.load(file)
    answers = []
    for question in questions:
        has_users = question["user"] == "yes"
        table = CronTab(tab=question["text"], user=False if has_users else None)
        lines = []
        for job in table:
            if job.is_enabled():
                lines.append("\t".join([str(job.slices), job.user or "" if has_users else "", job.command]))
        answers.append("\n".join(lines))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answers, file)


main()
