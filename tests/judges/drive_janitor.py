#!/usr/bin/env python3
"""Fills a registry with boto3, lets the janitor's program sweep it twice against the loopback mount of
`cargo demo --serve PORT`, and reads back with boto3 what that left.

    drive_janitor.py PROGRAM PORT

The simulated account lives at a date that is long past, until SIGHUP to the server (environment: SERVER, its process) makes it
today: so whatever was pushed is old, and the program's clock agrees with AWS's. Only the two scans are a minute apart, the
shortest quarantine that a policy may have. Exit code 1 with what was expected where
anything differs.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from botocore.exceptions import BotoCoreError, ClientError

from registry import Registry, Unexpected, expect

REPOSITORY = "judged/cleaned"
OTHER = "judged/untouched"
POLICY = f"""
[defaults]
keep_newest = 1
protect_tags = ["keep-*"]
[[rules]]
repositories = ["{REPOSITORY}"]
[guards]
max_percent = 100
quarantine = "1m"
"""
QUARANTINE = 61
LIMIT_RUN = 120
# Exit codes of the program.
OK, WRONG_SURROUNDINGS, PLANNED = 0, 3, 10


class Drive(Registry):
    """A registry's life with a janitor."""

    def __init__(self, program, port, folder):
        super().__init__(port, "AKIAJUDGECLEANER", REPOSITORY)
        self.program, self.folder = program, folder
        (folder / "janitor.toml").write_text(POLICY, encoding="utf-8")

    def janitor(self, *arguments):
        """Runs the program; its exit code and the lines of JSON that it printed."""
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.names["REGION"],
            "AWS_ACCESS_KEY_ID": "AKIAJANITOR", "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "COALMINE_POLICY": str(self.folder / "janitor.toml"), "COALMINE_STATE": f"dir:{self.folder / 'state'}",
        }
        ran = subprocess.run(
            [self.program, *arguments, "--json"], env=environment, timeout=LIMIT_RUN,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
        )
        return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]

    def run(self):
        for name in (OTHER, REPOSITORY):
            self.ecr.create_repository(repositoryName=name)
        goes, stays = self.fill()
        everything = sorted([*goes, *stays])
        expect("images before", everything, sorted(self.images()))

        expect("a run by a clock that is not AWS's", WRONG_SURROUNDINGS, self.janitor("sweep", "--yes")[0])
        expect("images after it", everything, sorted(self.images()))
        os.kill(int(os.environ["SERVER"]), signal.SIGHUP)
        time.sleep(1)
        code, lines = self.janitor("sweep", "--yes")
        expect("the first sweep", (OK, True, 0), (code, lines[0]["complete"], lines[0]["to_delete"]))
        expect("images after the first sweep", everything, sorted(self.images()))
        time.sleep(QUARANTINE)
        code, lines = self.janitor("plan")
        planned = [line["digest"] for line in lines[1:] if line["verdict"] == "delete"]
        expect("the plan", (PLANNED, sorted(goes)), (code, sorted(planned)))
        # Nobody can be asked here.
        expect("a sweep without an answer", PLANNED, self.janitor("sweep")[0])
        expect("images before the last sweep", everything, sorted(self.images()))
        code, lines = self.janitor("sweep", "--yes")
        expect("the last sweep", (OK, len(goes)), (code, lines[-1]["deleted"]))

        expect("images after it", sorted(stays), sorted(self.images()))
        shown = self.ecr.describe_images(repositoryName=OTHER)["imageDetails"]
        expect("images of the other repository", 1, len(shown))
        kinds = {image["imageDigest"]: image["imageManifestMediaType"] for image in self.images("ACTIVE").values()}
        for digest, kind in kinds.items():
            self.manifest_of(digest, kind)
        code, lines = self.janitor("sweep", "--yes")
        expect("one more sweep", (OK, 0), (code, lines[0]["to_delete"]))

    def fill(self):
        """Pushes, and uses some of it; the digests of what is to go and of what is to stay."""
        self.repository = OTHER
        self.put_image("amd64", tag="v1", note="of another repository")
        self.repository = REPOSITORY

        def release(tag):
            children = [self.put_image(architecture, note=tag) for architecture in ("arm64", "amd64")]
            return [self.put_index(children, tag), *children]

        dead, runs, defined = release("v1"), release("v2"), release("v3")
        signed = [self.put_referrer(dead[0]), self.put_referrer(defined[0])]
        untagged = self.put_image("amd64", note="untagged")
        protected = self.put_image("amd64", tag="keep-me", note="protected")
        archived = self.put_image("amd64", tag="archived", note="archived")
        newest = release("v4")
        self.ecr.update_image_storage_class(
            repositoryName=REPOSITORY, imageId={"imageDigest": archived}, targetStorageClass="ARCHIVE"
        )
        self.service("judged-defined", f"{self.host}/{REPOSITORY}:v3")
        # What runs is one child of an index, by digest, and its task definition is gone from every list.
        definition = self.definition("judged-runs", f"{self.host}/{REPOSITORY}@{runs[2]}")
        started = self.ecs.run_task(
            cluster=self.names["CLUSTER"], taskDefinition=definition, launchType="FARGATE", networkConfiguration=NETWORK
        )
        expect("failures of RunTask", [], started["failures"])
        self.wait_until_running(started["tasks"][0]["taskArn"])
        self.ecs.deregister_task_definition(taskDefinition=definition)
        goes = [*dead, signed[0], untagged]
        return goes, [*runs, *defined, signed[1], protected, archived, *newest]

    def definition(self, family, image):
        return self.ecs.register_task_definition(
            family=family, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{"name": "app", "image": image, "essential": True}],
        )["taskDefinition"]["taskDefinitionArn"]

    def service(self, name, image):
        """A service that is scaled to nothing."""
        self.ecs.create_service(
            cluster=self.names["CLUSTER"], serviceName=name, taskDefinition=self.definition(name, image),
            desiredCount=0, launchType="FARGATE", networkConfiguration=NETWORK,
        )


NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d4e5f60718"]}}


def main(program, port):
    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(program, port, pathlib.Path(folder))
        try:
            drive.run()
        except (Unexpected, BotoCoreError, ClientError, subprocess.TimeoutExpired) as problem:
            print(f"janitor: FAILED: {problem}", file=sys.stderr)
            drive.judge.report()
            return 1
        if not drive.judge.report():
            return 1
    print("janitor: swept what was to go, and nothing else", flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
