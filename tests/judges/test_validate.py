"""The judge is judged first: good exchanges pass, and each bad one is found, by the right name.

Run it with `python -m unittest discover -s tests/judges`.
"""

import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

import validate

GOOD = {
    "service": "ecr",
    "operation": "DescribeRepositories",
    "status": 200,
    "request": {"repositoryNames": ["app"]},
    "reply": {
        "repositories": [
            {
                "repositoryArn": "arn:aws:ecr:eu-central-1:123456789012:repository/app",
                "registryId": "123456789012",
                "repositoryName": "app",
                "repositoryUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app",
                "createdAt": 1767603600.5,
                "imageTagMutability": "IMMUTABLE",
                "imageScanningConfiguration": {"scanOnPush": False},
                "encryptionConfiguration": {"encryptionType": "AES256"},
            }
        ]
    },
}

ERROR = {
    "service": "ecr",
    "operation": "DescribeRepositories",
    "status": 400,
    "request": {"maxResults": 0},
    "reply": {"__type": "RepositoryNotFoundException", "message": "The repository does not exist"},
}


def findings(*exchanges):
    judge = validate.Judge()
    for number, exchange in enumerate(exchanges, 1):
        judge.line(number, exchange if isinstance(exchange, str) else json.dumps(exchange))
    return judge, [(path, what) for (_, _, path, what) in sorted(judge.findings)]


class TheJudge(unittest.TestCase):
    def changed(self, exchange, path, value):
        """The exchange with one value changed; `...` removes it."""
        exchange = copy.deepcopy(exchange)
        at = exchange
        for step in path[:-1]:
            at = at[step]
        if value is ...:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        return exchange

    def finds(self, exchange, path, what):
        _, found = findings(exchange)
        self.assertEqual(len(found), 1, found)
        self.assertEqual(found[0][0], path)
        self.assertTrue(found[0][1].startswith(what), found[0][1])

    def test_passes_what_aws_could_have_said(self):
        judge, found = findings(GOOD, ERROR)
        self.assertEqual(found, [])
        self.assertTrue(judge.report(io.StringIO()))

    def test_finds_each_kind_of_wrong_reply(self):
        repository = ("reply", "repositories", 0)
        at = "reply.repositories[]"
        cases = [
            ("nickname", "x", f"{at}.nickname", "member"),
            ("createdAt", "2026-01-05T09:00:00Z", f"{at}.createdAt", "type"),
            ("createdAt", 1767603600000, f"{at}.createdAt", "range"),
            ("imageTagMutability", "SOMETIMES", f"{at}.imageTagMutability", "enum"),
            ("repositoryName", "App", f"{at}.repositoryName", "pattern"),
            ("repositoryName", "a" * 257, f"{at}.repositoryName", "length"),
            ("imageScanningConfiguration", None, f"{at}.imageScanningConfiguration", "null"),
            ("encryptionConfiguration", {}, f"{at}.encryptionConfiguration.encryptionType", "required"),
            ("imageTagMutabilityExclusionFilters", [], f"{at}.imageTagMutabilityExclusionFilters", "size"),
        ]
        for member, value, path, what in cases:
            with self.subTest(member=member, what=what):
                self.finds(self.changed(GOOD, (*repository, member), value), path, what)

    def test_finds_a_request_that_should_have_been_refused(self):
        self.finds(self.changed(GOOD, ("request", "maxResults"), 1001), "request.maxResults", "range")
        _, found = findings(self.changed(GOOD, ("request", "nonsense"), 1))
        self.assertEqual([path for path, _ in found], ["request", "request.nonsense"])

    def test_finds_errors_that_the_operation_does_not_have(self):
        self.finds(self.changed(ERROR, ("reply", "__type"), "ServiceNotFoundException"), "reply.__type", "error code")
        self.finds(self.changed(ERROR, ("reply", "message"), ...), "reply.message", "required")
        _, throttled = findings(self.changed(ERROR, ("reply", "__type"), "ThrottlingException"))
        self.assertEqual(throttled, [])

    def test_calls_what_stands_in_paths_and_queries_by_its_own_name(self):
        exchange = {
            "service": "scheduler", "operation": "GetSchedule", "status": 200,
            "request": {"Name": "nightly", "GroupName": "reports"}, "reply": {"Name": "nightly"},
        }
        _, found = findings(exchange)
        self.assertEqual(found, [])
        self.finds(self.changed(exchange, ("reply", "State"), "ASLEEP"), "reply.State", "enum")

    def test_finds_unknown_operations_and_services(self):
        self.finds(self.changed(GOOD, ("operation",), "DescribeEverything"), "", "operation")
        self.finds(self.changed(GOOD, ("service",), "s3"), "", "service")

    def test_finds_lines_that_are_no_exchange(self):
        self.finds("{", "line 1", "is no exchange")

    def test_has_not_judged_what_it_did_not_see(self):
        judge, _ = findings()
        self.assertFalse(judge.report(io.StringIO()))

    def test_ends_with_1_on_an_empty_or_a_bad_file_and_with_0_on_a_good_one(self):
        bad = self.changed(GOOD, ("reply", "repositories", 0, "createdAt"), "yesterday")
        for text, code in [("", 1), (json.dumps(bad), 1), (json.dumps(GOOD), 0)]:
            with tempfile.TemporaryDirectory() as folder, self.subTest(code=code):
                path = os.path.join(folder, "exchanges.jsonl")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                ended = subprocess.run([sys.executable, validate.__file__, path], capture_output=True, check=False)
                self.assertEqual(ended.returncode, code, ended.stdout)


if __name__ == "__main__":
    unittest.main()
