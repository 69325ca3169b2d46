"""All commands, each described once."""

import commands
import ledger
import rules
import surface

COMMANDS = {}
for part in (commands, surface, ledger, rules):
    twice = COMMANDS.keys() & part.COMMANDS.keys()
    assert not twice, f"described twice: {sorted(twice)}"
    COMMANDS |= part.COMMANDS


def is_changing(name):
    """Whether a command takes the options of those that change something."""
    return "dry_run" in COMMANDS[name][0].get("properties", {})
