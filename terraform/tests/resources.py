"""Reading what `terraform show -json` says of a plan or a state."""

import json
from pathlib import Path


def load(path):
    return json.loads(Path(path).read_text())


def walk(module):
    """Every resource of a module and of the modules in it."""
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from walk(child)


def managed(state):
    """The managed resources of a state, by address."""
    found = walk(state["values"]["root_module"])
    return {resource["address"]: resource for resource in found if resource["mode"] == "managed"}
