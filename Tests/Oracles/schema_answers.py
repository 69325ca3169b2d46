"""Answers from Python's jsonschema whether values satisfy schemas of draft-07.

Input: a JSON list of [schema, [value, ...]]. Output: for each schema a list of true and false. Exit code 3 if jsonschema
is not installed. Numbers with a point or an exponent are read as decimals, so that nothing is rounded, and whole ones
among them are integers, as the draft says.
"""
import json
import sys
from decimal import Decimal

try:
    from jsonschema import Draft7Validator, validators
except ImportError:
    sys.exit(3)


def is_integer(_, value):
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or isinstance(value, Decimal) and value == value.to_integral_value()


def is_number(_, value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


checker = Draft7Validator.TYPE_CHECKER.redefine_many({"integer": is_integer, "number": is_number})
Validator = validators.extend(Draft7Validator, type_checker=checker)

with open(sys.argv[1], encoding="utf-8") as questions, open(sys.argv[2], "w") as answers:
    asked = json.load(questions, parse_float=Decimal)
    json.dump([[Validator(schema).is_valid(value) for value in values] for schema, values in asked], answers)
