"""The policies that Terraform renders, read by parliament, a linter of IAM policies that nobody here wrote.

What it finds and need not stands below with its reason; a reason that is not needed any more is a failure, too.
"""

import pathlib
import unittest

from parliament import analyze_policy_string

POLICIES = pathlib.Path(__file__).resolve().parents[2] / "terraform" / "policies"

NEWER = "newer than what parliament knows"
REASONS = {
    ("UNKNOWN_ACTION", "ecs:StopServiceDeployment"): NEWER,
    ("UNKNOWN_ACTION", "ecs:ListDaemons"): NEWER,
    ("UNKNOWN_ACTION", "ecs:ListDaemonTaskDefinitions"): NEWER,
    ("UNKNOWN_ACTION", "ecs:DescribeDaemonTaskDefinition"): NEWER,
    ("UNKNOWN_ACTION", "ecs:DescribeDaemon"): NEWER,
    ("UNKNOWN_ACTION", "ecs:DescribeDaemonDeployments"): NEWER,
    ("UNKNOWN_ACTION", "ecs:DescribeDaemonRevisions"): NEWER,
    ("RESOURCE_STAR", "ecs:ListTasks"): "its only resource is a container instance; the cluster is a condition",
    ("RESOURCE_STAR", "ecs:RegisterTaskDefinition"): "AWS's reference and AWS's example policies do not agree",
    ("RESOURCE_STAR", "cloudwatch:DescribeAlarms"): "composite alarms are shown only to those who may see every alarm",
}


def found(path):
    """Each finding as its kind and the action that it is about."""
    for finding in analyze_policy_string(path.read_text()).findings:
        if finding.issue == "UNKNOWN_ACTION":
            yield finding.issue, finding.location["string"]
        elif finding.issue == "RESOURCE_STAR":
            for action in finding.detail:
                yield finding.issue, action
        else:
            yield finding.issue, str(finding)


class Policies(unittest.TestCase):
    def test_nothing_is_found_that_has_no_reason_and_every_reason_is_needed(self):
        paths = sorted(POLICIES.glob("*.json"))
        self.assertGreaterEqual(len(paths), 5, POLICIES)
        self.assertEqual({finding for path in paths for finding in found(path)}, set(REASONS))

    def test_a_policy_that_is_too_wide_is_found(self):
        wide = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "*"}]}'
        self.assertTrue(analyze_policy_string(wide).findings)


if __name__ == "__main__":
    unittest.main()
