"""What the modules' own tests cannot see, because a plan does not show it."""

import re
import unittest
from collections import Counter

import hcl2

from pages import MODULES, blocks

# What the worker and autoscaling write into services.
WRITTEN = ["task_definition", "desired_count", "deployment_minimum_healthy_percent", "deployment_maximum_percent"]
EXAMPLES = MODULES.parent / "examples"


def resources(module, kind):
    found = [body for name, body in blocks(module, "resource") if name == kind]
    return {name: values for body in found for name, values in body.items()}


def refusals(module):
    """The variables that a module's tests expect to be refused, once for each run."""
    for file in module.glob("tests/*.tftest.hcl"):
        with file.open() as text:
            for run in hcl2.load(text).get("run", []):
                for body in run.values():
                    for failures in body.get("expect_failures", []):
                        yield from re.findall(r"\bvar\.(\w+)", str(failures))


class Modules(unittest.TestCase):
    def test_services_ignore_exactly_what_the_worker_and_autoscaling_write(self):
        (lifecycle,) = resources(MODULES / "service", "aws_ecs_service")["this"]["lifecycle"]
        ignored = [name.removeprefix("${").removesuffix("}") for name in lifecycle["ignore_changes"][0]]
        self.assertEqual(ignored, WRITTEN)

    def test_the_first_revisions_never_change(self):
        (lifecycle,) = resources(MODULES / "service", "aws_ecs_task_definition")["first"]["lifecycle"]
        self.assertEqual(lifecycle["ignore_changes"], ["${all}"])

    def test_every_module_has_a_page_and_says_what_its_inputs_are(self):
        for module in sorted(path for path in MODULES.iterdir() if path.name != "internal"):
            self.assertTrue((module / "README.md").exists(), module)
            for name, body in blocks(module, "variable"):
                self.assertTrue({"description", "type"} <= body.keys(), f"{module.name}: {name}")

    def test_every_validation_has_a_run_that_it_refuses(self):
        for module in sorted(path for path in MODULES.iterdir() if path.name != "internal"):
            refused = Counter(refusals(module))
            for name, body in blocks(module, "variable"):
                validations = len(body.get("validation", []))
                with self.subTest(module=module.name, variable=name):
                    self.assertGreaterEqual(refused[name], validations, "runs that are refused")

    def test_every_validation_says_what_to_do(self):
        for module in sorted(path for path in MODULES.iterdir() if path.name != "internal"):
            for name, body in blocks(module, "variable"):
                for validation in body.get("validation", []):
                    # An imperative, and the variable by its name, in a whole sentence.
                    message = validation["error_message"][0].removeprefix('${"').removesuffix('"}')
                    with self.subTest(module=module.name, variable=name):
                        self.assertRegex(message, r"^(Give|Leave|Name|Put|Set|Use) .*\.$")
                        self.assertIn(name, message)

    def test_the_complete_example_asks_for_nothing(self):
        self.assertEqual(list(blocks(EXAMPLES / "complete", "variable")), [])

    def test_a_teams_own_configuration_is_short(self):
        for example, most in (("complete", 128), ("minimal", 59)):
            lines = (EXAMPLES / example / "main.tf").read_text().count("\n")
            self.assertLessEqual(lines, most, example)


if __name__ == "__main__":
    unittest.main()
