"""Scans a plan with checkov, and holds each finding against the reasons in the source.

    python scan_plan.py CHECKOV PLAN.json STATE.json STACK

checkov itself finds reasons (`#checkov:skip=ID:reason`) only where it scans source, and it takes a value that the plan
does not know yet for a missing one. So the plan is first completed from the state of an apply that creates nothing,
and a finding is dropped where the resource's own block gives a reason for it.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from resources import load, managed, walk


def filled(planned, unknown, applied):
    """A planned value with what an apply gave to the unknown parts of it; what the stand-in made up stays out."""
    if unknown is True:
        return None if str(applied).startswith("standin-") else applied
    if isinstance(unknown, dict) and isinstance(applied, dict):
        planned = planned or {}
        parts = {key: filled(planned.get(key), part, applied.get(key)) for key, part in unknown.items()}
        return planned | {key: part for key, part in parts.items() if part is not None}
    if isinstance(unknown, list) and isinstance(planned, list) and isinstance(applied, list):
        return [filled(*parts) for parts in zip(planned, unknown, applied)]
    return planned


def completed(plan, state):
    """The plan with the values that an apply gave to what was unknown."""
    applied = managed(state)
    values = {}
    for resource in plan["resource_changes"]:
        change, address = resource["change"], resource["address"]
        if address in applied:
            change["after"] = filled(change["after"], change["after_unknown"], applied[address]["values"])
            values[address] = change["after"]
    for resource in walk(plan["planned_values"]["root_module"]):
        resource["values"] = values.get(resource["address"], resource["values"])
    return plan


def findings(checkov, plan):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(plan, file)
        file.flush()
        options = ["--framework", "terraform_plan", "--skip-download", "--quiet", "--compact", "--output", "json"]
        run = subprocess.run([checkov, "--file", file.name, *options], stdout=subprocess.PIPE, text=True)
    report = json.loads(run.stdout)
    if "results" not in report:
        sys.exit(f"checkov scanned nothing: {run.stdout}")
    return report["results"]["failed_checks"], report["summary"]


def folder(address, stack, configuration):
    """The folder of the module that a resource is in."""
    path = Path(stack)
    for name in re.findall(r"module\.([\w-]+)", address):
        call = configuration["module_calls"][name]
        path, configuration = path / call["source"], call["module"]
    return path


def has_reason(finding, stack, configuration):
    address = re.sub(r"\[[^]]*\]", "", finding["resource"])
    kind, name = address.split(".")[-2:]
    block = rf'^resource "{kind}" "{name}" {{\n.*?^}}'
    reason = rf"#checkov:skip={finding['check_id']}:\S"
    for file in folder(address, stack, configuration).glob("*.tf"):
        found = re.search(block, file.read_text(), re.MULTILINE | re.DOTALL)
        if found and re.search(reason, found.group()):
            return True
    return False


def main():
    checkov, plan, state, stack = sys.argv[1:]
    plan = load(plan)
    failed, summary = findings(checkov, completed(plan, load(state)))
    configuration = plan["configuration"]["root_module"]
    left = [finding for finding in failed if not has_reason(finding, stack, configuration)]
    for finding in left:
        print(f"{finding['resource']}: {finding['check_id']} {finding['check_name']}")
    reasons = len(failed) - len(left)
    print(f"{summary['passed']} checks passed, {reasons} findings have a reason in the source, {len(left)} have none")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
