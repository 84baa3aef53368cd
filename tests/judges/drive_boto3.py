#!/usr/bin/env python3
"""Takes a release through the whole pipeline with boto3, against the loopback mount of `cargo demo --serve PORT`.

    drive_boto3.py PORT

Creates the action types and the pipeline, puts the release, starts, approves twice, and then asserts that every task of
both services runs the new image. Names stand in names.env. Exit code 1 with what was expected where anything differs.
"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import common

INDEX_TYPES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
POLL_SECONDS = 0.5
FAILED = ("Failed", "Stopped", "Superseded", "Cancelled")


class Unexpected(Exception):
    """What was expected and what was found."""


def expect(what, wanted, found):
    if wanted != found:
        raise Unexpected(f"{what}: expected {wanted!r}, found {found!r}")


def say(text):
    print(f"boto3: {text}", flush=True)


class Drive:
    """One release, step by step."""

    def __init__(self, port):
        self.names = common.names()
        self.pipeline = self.names["PIPELINE"]
        self.services = [self.names["CANARY_SERVICE"], self.names["FULL_SERVICE"]]
        session = boto3.Session("AKIAJUDGEBOTO3", "not-a-secret", region_name=self.names["REGION"])
        config = Config(connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"})

        def client(service):
            return session.client(service, endpoint_url=f"http://127.0.0.1:{port}", config=config)

        self.codepipeline, self.ecs, self.ecr = client("codepipeline"), client("ecs"), client("ecr")
        self.s3, self.cloudwatch, self.logs = client("s3"), client("cloudwatch"), client("logs")

    def wait(self, what, seconds, look):
        """Looks until something other than None is seen."""
        end = time.monotonic() + float(seconds)
        while True:
            seen = look()
            if seen is not None:
                return seen
            if time.monotonic() > end:
                raise Unexpected(f"{what}: expected within {seconds} s, did not happen: {self.state()}")
            time.sleep(POLL_SECONDS)

    def state(self):
        """The pipeline's actions in a few words, for messages."""
        words = []
        for stage in self.codepipeline.get_pipeline_state(name=self.pipeline)["stageStates"]:
            for action in stage["actionStates"]:
                latest = action.get("latestExecution", {})
                told = latest.get("errorDetails", {}).get("message") or latest.get("summary") or ""
                words.append(f"{stage['stageName']}/{action['actionName']} {latest.get('status', '-')} {told}".strip())
        return "; ".join(words)

    def execution_status(self, execution):
        pages = self.codepipeline.get_paginator("list_pipeline_executions").paginate(pipelineName=self.pipeline)
        found = [item["status"] for page in pages for item in page["pipelineExecutionSummaries"]
                 if item["pipelineExecutionId"] == execution]
        expect(f"executions {execution} in ListPipelineExecutions", 1, len(found))
        return found[0]

    def run(self):
        before = self.describe_services()
        for name, service in before.items():
            expect(f"{name}: deployments before the release", 1, len(service["deployments"]))
        self.create_action_types()
        self.create_pipeline()
        execution = self.start()
        self.approve(execution, "Approve", "Approve", self.names["LIMIT_SOURCE"])
        self.approve(execution, "Release", "Approve", self.names["LIMIT_CANARY"])
        self.finish(execution)
        self.check_services(before)
        self.check_tasks()
        # The services that a person looks into next must be readable, too.
        self.cloudwatch.describe_alarms(MaxRecords=100)
        self.logs.describe_log_groups()

    def create_action_types(self):
        for definition in common.action_types():
            made = self.codepipeline.create_custom_action_type(**definition)["actionType"]
            expect("owner of the action type", "Custom", made["id"]["owner"])
            expect("provider of the action type", definition["provider"], made["id"]["provider"])
        pages = self.codepipeline.get_paginator("list_action_types").paginate(actionOwnerFilter="Custom")
        listed = {kind["id"]["provider"] for page in pages for kind in page["actionTypes"]}
        expect("custom action types", {definition["provider"] for definition in common.action_types()}, listed)
        say(f"created {len(listed)} action types")

    def create_pipeline(self):
        bucket = self.names["ARTIFACT_BUCKET"]
        self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.names["REGION"]})
        request = common.pipeline(self.names)
        self.codepipeline.create_pipeline(**request)
        stored = self.codepipeline.get_pipeline(name=self.pipeline)["pipeline"]
        expect("stages of the pipeline", [stage["name"] for stage in request["pipeline"]["stages"]],
               [stage["name"] for stage in stored["stages"]])
        # Creating a pipeline starts it. There is no release yet, so the source has to fail.
        first = self.wait("the execution that CreatePipeline starts", self.names["LIMIT_SOURCE"], self.first_execution)
        status = self.wait("its end", self.names["LIMIT_SOURCE"], lambda: self.ended(first))
        expect("an execution without a source object", "Failed", status)
        say(f"created pipeline {self.pipeline}")

    def first_execution(self):
        summaries = self.codepipeline.list_pipeline_executions(pipelineName=self.pipeline)["pipelineExecutionSummaries"]
        return summaries[0]["pipelineExecutionId"] if summaries else None

    def ended(self, execution):
        status = self.execution_status(execution)
        return status if status == "Succeeded" or status in FAILED else None

    def start(self):
        bucket, key = self.names["SOURCE_BUCKET"], self.names["SOURCE_KEY"]
        body = common.release(self.names)
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        expect("size of the object put", len(body), self.s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
        execution = self.codepipeline.start_pipeline_execution(name=self.pipeline)["pipelineExecutionId"]
        say(f"started execution {execution}")
        return execution

    def approve(self, execution, stage, action, seconds):
        def token():
            status = self.execution_status(execution)
            if status in FAILED or status == "Succeeded":
                raise Unexpected(f"{stage}/{action}: expected to wait for an approval, is {status}: {self.state()}")
            for state in self.codepipeline.get_pipeline_state(name=self.pipeline)["stageStates"]:
                for found in state["actionStates"]:
                    if (state["stageName"], found["actionName"]) == (stage, action):
                        return found.get("latestExecution", {}).get("token")
            raise Unexpected(f"{stage}/{action}: expected in GetPipelineState, is not there")

        given = self.wait(f"{stage}/{action} waiting for an approval", seconds, token)
        if stage == "Release":
            canary, full = self.describe_services().values()
            if canary["taskDefinition"] == full["taskDefinition"]:
                raise Unexpected("the canary runs a task definition of its own: expected before the second approval")
        self.codepipeline.put_approval_result(
            pipelineName=self.pipeline, stageName=stage, actionName=action, token=given,
            result={"summary": "judged well", "status": "Approved"},
        )
        say(f"approved {stage}/{action}")

    def finish(self, execution):
        status = self.wait("the end of the execution", self.names["LIMIT_FULL"], lambda: self.ended(execution))
        if status != "Succeeded":
            raise Unexpected(f"the execution: expected Succeeded, is {status}: {self.state()}")
        pages = self.codepipeline.get_paginator("list_action_executions").paginate(
            pipelineName=self.pipeline, filter={"pipelineExecutionId": execution})
        actions = {(detail["stageName"], detail["actionName"]): detail["status"]
                   for page in pages for detail in page["actionExecutionDetails"]}
        wanted = [("Source", "Release"), ("Approve", "Approve"), ("Release", "Canary"), ("Release", "Approve"),
                  ("Release", "Full")]
        expect("action executions", {name: "Succeeded" for name in wanted}, actions)
        say("the execution succeeded")

    def describe_services(self):
        reply = self.ecs.describe_services(cluster=self.names["CLUSTER"], services=self.services)
        expect("failures of DescribeServices", [], reply["failures"])
        found = {service["serviceName"]: service for service in reply["services"]}
        return {name: found[name] for name in self.services}

    def digests(self):
        """The release's digest set: what the tag names, and the children of an index."""
        repository, tag = self.names["REPOSITORY"], self.names["TAG"]
        details = self.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"]
        expect(f"images tagged {tag}", 1, len(details))
        reply = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}],
                                         acceptedMediaTypes=INDEX_TYPES)
        expect("failures of BatchGetImage", [], reply["failures"])
        manifest = json.loads(reply["images"][0]["imageManifest"])
        return {details[0]["imageDigest"], *(child["digest"] for child in manifest.get("manifests", []))}

    def check_services(self, before):
        self.ecs.get_waiter("services_stable").wait(
            cluster=self.names["CLUSTER"], services=self.services, WaiterConfig={"Delay": 2, "MaxAttempts": 15})
        image, digests = common.image(self.names), self.digests()
        pinned = {f"{image.rsplit(':', 1)[0]}@{digest}" for digest in digests}
        for name, service in self.describe_services().items():
            revision = service["taskDefinition"]
            if revision == before[name]["taskDefinition"]:
                raise Unexpected(f"{name}: expected a new task definition, found {revision} as before")
            described = self.ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
            found = {container["name"]: container["image"] for container in described["containerDefinitions"]}
            released = found.get(self.names["CONTAINER"])
            if released != image and released not in pinned:
                raise Unexpected(f"{revision}: expected {image} or one of its digests, found {found}")
            for member in ("desiredCount", "runningCount"):
                expect(f"{name}: {member}", before[name]["desiredCount"], service[member])
            expect(f"{name}: deployments", 1, len(service["deployments"]))
            percents = [before[name]["deploymentConfiguration"], service["deploymentConfiguration"]]
            wanted, present = ((each["minimumHealthyPercent"], each["maximumPercent"]) for each in percents)
            expect(f"{name}: minimum and maximum percent after the release", wanted, present)
        say("both services have the new task definition")

    def check_tasks(self):
        digests, count = self.digests(), 0
        for name in self.services:
            pages = self.ecs.get_paginator("list_tasks").paginate(cluster=self.names["CLUSTER"], serviceName=name)
            arns = [arn for page in pages for arn in page["taskArns"]]
            for start in range(0, len(arns), 100):
                reply = self.ecs.describe_tasks(cluster=self.names["CLUSTER"], tasks=arns[start:start + 100])
                expect("failures of DescribeTasks", [], reply["failures"])
                for task in reply["tasks"]:
                    found = {each["name"]: each.get("imageDigest") for each in task["containers"]}
                    if found.get(self.names["CONTAINER"]) not in digests:
                        raise Unexpected(f"{task['taskArn']}: expected one of {sorted(digests)}, found {found}")
                    count += 1
        if count == 0:
            raise Unexpected("expected running tasks, found none")
        say(f"all {count} tasks run the new image")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        Drive(int(sys.argv[1])).run()
    except (Unexpected, ClientError, BotoCoreError) as problem:
        say(f"FAILED {type(problem).__name__}: {problem}")
        return 1
    say("the whole pipeline, as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
