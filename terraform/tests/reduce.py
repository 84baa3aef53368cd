"""Reduces the state of examples/complete to what the scenarios provision the simulated account from.

    python reduce.py STATE.json > tests/terraform/complete.json

The state is that of an apply that creates nothing, so every name and reference in it is the configuration's.
"""

import json
import sys

from resources import load, managed

# Attributes by resource type; everything else says nothing that a release depends on.
KEPT = {
    "aws_appautoscaling_target": ["resource_id", "min_capacity", "max_capacity"],
    "aws_cloudwatch_event_rule": ["name", "event_pattern"],
    "aws_cloudwatch_event_target": ["rule", "arn", "input_transformer"],
    "aws_cloudwatch_metric_alarm": ["alarm_name", "namespace", "metric_name", "dimensions"],
    "aws_codepipeline": ["name", "role_arn", "pipeline_type", "execution_mode", "artifact_store", "variable", "stage"],
    "aws_codepipeline_custom_action_type": [
        "category", "provider_name", "version", "configuration_property",
        "input_artifact_details", "output_artifact_details", "settings",
    ],
    "aws_ecr_repository": ["name", "image_tag_mutability"],
    "aws_ecs_service": [
        "name", "cluster", "task_definition", "desired_count", "launch_type", "availability_zone_rebalancing",
        "deployment_minimum_healthy_percent", "deployment_maximum_percent", "deployment_circuit_breaker",
        "health_check_grace_period_seconds", "enable_ecs_managed_tags", "propagate_tags", "load_balancer",
        "network_configuration",
    ],
    "aws_ecs_task_definition": [
        "arn", "family", "cpu", "memory", "network_mode", "requires_compatibilities", "runtime_platform",
        "execution_role_arn", "task_role_arn", "container_definitions",
    ],
    "aws_iam_role_policy": ["role", "policy"],
    "aws_s3_bucket": ["bucket"],
    "aws_s3_bucket_server_side_encryption_configuration": ["bucket", "rule"],
}

# JSON in strings is easier to review as JSON.
DOCUMENTS = ["container_definitions", "event_pattern", "policy"]


def is_silent(value):
    return value in (None, [], {}, "") or (isinstance(value, str) and value.startswith("standin-"))


def said(value):
    """A value without what it does not say: nulls, empty lists, and what the stand-in made up."""
    if isinstance(value, dict):
        return {key: said(item) for key, item in value.items() if not is_silent(item)}
    if isinstance(value, list):
        return [said(item) for item in value]
    return value


def reduced(resource):
    values = {name: resource["values"][name] for name in KEPT[resource["type"]]}
    for name in DOCUMENTS:
        if name in values:
            values[name] = json.loads(values[name])
    return said(values)


def matters(address, resource, watched):
    """Whether a release has to do with it: not the janitor, other roles than the workers', alarms that no pipeline names."""
    if address.startswith("module.janitor.") or resource["type"] not in KEPT:
        return False
    if resource["type"] == "aws_iam_role_policy":
        return "codepipeline:PollForJobs" in resource["values"]["policy"]
    return resource["values"].get("alarm_name") in watched | {None}


def alarms_of(pipeline):
    actions = [action for stage in pipeline["values"]["stage"] for action in stage["action"]]
    return {name for action in actions for name in (action["configuration"] or {}).get("Alarms", "").split(",")}


def main():
    resources = managed(load(sys.argv[1]))
    pipelines = [resource for resource in resources.values() if resource["type"] == "aws_codepipeline"]
    watched = set().union(*map(alarms_of, pipelines))
    kept = {
        address: reduced(resource)
        for address, resource in sorted(resources.items())
        if matters(address, resource, watched)
    }
    # One resource a line would be unreadable, one value a line would be thousands.
    lines = [f"  {json.dumps(address)}: {json.dumps(values, sort_keys=True)}" for address, values in kept.items()]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
