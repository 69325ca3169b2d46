"""Reads YAML with PyYAML's safe loader and compares it with the JSON that carillon made of it.

yaml_json.py QUESTIONS ANSWERS: a list of {"yaml", "json"}; answers "same", or what PyYAML reads.
"""

import json
import sys

try:
    import yaml
except ImportError:
    sys.exit(3)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        questions = json.load(file)
    answers = []
    for question in questions:
        try:
            value = yaml.safe_load(question["yaml"])
        except Exception as error:  # whatever it does not read
            answers.append(f"{type(error).__name__}: {error}")
            continue
        # Types count: 1 is neither 1.0 nor true.
        mine = repr(json.loads(question["json"]))
        answers.append("same" if repr(value) == mine else f"{value!r}, not {mine}")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answers, file)


main()
