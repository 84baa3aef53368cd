"""Plans again after a release, and after a change of the template.

    standin python drift.py STACK WORLD.json

STACK is a copy of examples/complete, which is applied (creating nothing). WORLD.json says what ECS shows of the services
after a release by the worker; it is written into the state, as a refresh would. Then the plan has to be empty, and after
a change of one template it has to be exactly that change.
"""

import json
import subprocess
import sys
from pathlib import Path

from resources import load


def terraform(stack, *arguments):
    command = ["terraform", f"-chdir={stack}", *arguments]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}:\n{run.stdout}")
    return run.stdout


def changes(stack):
    """What a plan would do, by address."""
    terraform(stack, "plan", "-no-color", "-input=false", "-out=drift.bin")
    plan = json.loads(terraform(stack, "show", "-json", "drift.bin"))
    found = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
    return {address: actions for address, actions in found.items() if actions not in (["no-op"], ["read"])}


def refresh(stack, world):
    """Writes what the services are into the state; how many there were."""
    path = Path(stack, "terraform.tfstate")
    state, met = load(path), 0
    for resource in state["resources"]:
        if resource["type"] != "aws_ecs_service":
            continue
        for instance in resource["instances"]:
            values = instance["attributes"]
            if values["name"] in world:
                values.update(world[values["name"]])
                met += 1
    state["serial"] += 1
    path.write_text(json.dumps(state))
    return met


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: expected {expected}, found {found}")
    print(f"{what}: {expected or 'nothing'}")


def main():
    stack, world = sys.argv[1], load(sys.argv[2])
    Path(stack, "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    terraform(stack, "init", "-input=false")
    terraform(stack, "apply", "-input=false", "-auto-approve")

    expect("services that the release turned over", refresh(stack, world), len(world))
    expect("changes after a release", changes(stack), {})

    # The test would be worth nothing if a plan did not look at the services at all.
    by_hand = 'module.app.aws_ecs_service.this["full"]'
    refresh(stack, {"app": {"propagate_tags": "NONE"}})
    expect("changes after somebody changed a service by hand", changes(stack), {by_hand: ["update"]})
    refresh(stack, world)

    Path(stack, "memory_override.tf").write_text('module "app" {\n  memory = 1024\n}\n')
    template = "module.app.aws_ecs_task_definition.template"
    expect("changes after a change of the template", changes(stack), {template: ["delete", "create"]})


if __name__ == "__main__":
    main()
