#!/usr/bin/env python3
"""Fills and empties a registry with boto3, against the loopback mount of `cargo demo --serve PORT`, and reads every source
that can name an image.

    drive_registry.py PORT

Every JSON exchange on the way is held against botocore's models (validate.py). Exit code 1 with what was expected where
anything differs.
"""

import json
import sys

from botocore.exceptions import BotoCoreError, ClientError

from registry import INDEX, SBOM, Registry, Unexpected, expect

REPOSITORY = "judged/registry"


class Drive(Registry):
    """The registry's life, and the sources."""

    def __init__(self, port):
        super().__init__(port, "AKIAJUDGEREGISTRY", REPOSITORY)
        self.functions, self.codebuild = self.client("lambda"), self.client("codebuild")
        self.events, self.scheduler = self.client("events"), self.client("scheduler")
        self.sts = self.client("sts", judged=False)

    def run(self):
        self.ecr.create_repository(repositoryName=REPOSITORY, tags=[{"Key": "team", "Value": "shop"}])
        children = [self.put_image(architecture) for architecture in ("arm64", "amd64")]
        index = self.put_index(children, "v1")
        self.put_manifest(self.manifest_of(index, INDEX), tag="stable")
        sbom = self.put_referrer(index)
        single = self.put_image("arm64", tag="old", note="of last year")
        self.check_images(index, children, sbom, single)
        self.check_policies(index, sbom)
        self.check_storage(single)
        self.run_task(index, children)
        self.check_deletion(index, children, single, sbom)
        self.read_sources()
        expect("who calls", self.names["ACCOUNT"], self.sts.get_caller_identity()["Account"])

    # Reading back.

    def check_images(self, index, children, sbom, single):
        images = self.images()
        expect("images", sorted([index, sbom, single, *children]), sorted(images))
        expect("tags of the index", ["stable", "v1"], images[index]["imageTags"])
        expect("tags of a child", None, images[children[0]].get("imageTags"))
        expect("subject of the SBOM", index, images[sbom]["subjectManifestDigest"])
        expect("kind of the SBOM", SBOM, images[sbom]["artifactMediaType"])
        listed = self.ecr.list_images(repositoryName=REPOSITORY, maxResults=1000)["imageIds"]
        expect("pairs of digest and tag", 6, len(listed))
        tagged = self.ecr.list_images(repositoryName=REPOSITORY, filter={"tagStatus": "TAGGED"})["imageIds"]
        expect("tags", ["old", "stable", "v1"], sorted(each["imageTag"] for each in tagged))

    def check_policies(self, index, sbom):
        policy = json.dumps({"Version": "2012-10-17", "Statement": []})
        self.ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
        expect("policy", policy, self.ecr.get_repository_policy(repositoryName=REPOSITORY)["policyText"])
        selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 100}
        rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
        lifecycle = json.dumps({"rules": [rule]})
        self.ecr.put_lifecycle_policy(repositoryName=REPOSITORY, lifecyclePolicyText=lifecycle)
        shown = self.ecr.get_lifecycle_policy(repositoryName=REPOSITORY)
        expect("lifecycle policy", lifecycle, shown["lifecyclePolicyText"])
        rules = [{
            "destinations": [{"region": "eu-west-1", "registryId": self.names["ACCOUNT"]}],
            "deleteReplication": {"enabled": True},
        }]
        self.ecr.put_replication_configuration(replicationConfiguration={"rules": rules})
        expect("replication", rules, self.ecr.describe_registry()["replicationConfiguration"]["rules"])
        referrers = self.ecr.list_image_referrers(repositoryName=REPOSITORY, subjectId={"imageDigest": index})
        expect("referrers", [sbom], [each["digest"] for each in referrers["referrers"]])
        arn = self.ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"][0]["repositoryArn"]
        tags = self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        expect("tags of the repository", [{"Key": "team", "Value": "shop"}], tags)

    def check_storage(self, single):
        update = self.ecr.update_image_storage_class
        archived = update(
            repositoryName=REPOSITORY, imageId={"imageDigest": single}, targetStorageClass="ARCHIVE"
        )
        expect("status after archiving", "ARCHIVED", archived["imageStatus"])
        expect("visible without a filter", False, single in self.images("ACTIVE"))
        expect("status when it is asked for", "ARCHIVED", self.images()[single]["imageStatus"])

    def run_task(self, index, children):
        image = f"{self.host}/{REPOSITORY}:v1"
        definition = self.ecs.register_task_definition(
            family="judged", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{"name": "job", "image": image, "essential": True}],
        )["taskDefinition"]["taskDefinitionArn"]
        network = {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d4e5f60718"]}}
        started = self.ecs.run_task(
            cluster=self.names["CLUSTER"], taskDefinition=definition, launchType="FARGATE",
            networkConfiguration=network, startedBy="judge",
        )
        expect("failures of RunTask", [], started["failures"])
        arn = started["tasks"][0]["taskArn"]
        task = self.wait_until_running(arn)
        expect("digest that the task runs", True, task["containers"][0]["imageDigest"] in [index, *children])
        expect("tasks of the judge", [arn],
               self.ecs.list_tasks(cluster=self.names["CLUSTER"], startedBy="judge")["taskArns"])
        self.ecs.deregister_task_definition(taskDefinition=definition)
        inactive = self.ecs.list_task_definitions(familyPrefix="judged", status="INACTIVE")["taskDefinitionArns"]
        expect("inactive task definitions", [definition], inactive)
        shown = self.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
        expect("image of the inactive one", image, shown["containerDefinitions"][0]["image"])
        self.ecs.stop_task(cluster=self.names["CLUSTER"], task=arn, reason="judged")

    # Emptying.

    def delete(self, *ids):
        """What went as (digest, tag), and the codes of what did not."""
        got = self.ecr.batch_delete_image(repositoryName=REPOSITORY, imageIds=list(ids))
        gone = sorted((each["imageDigest"], each.get("imageTag")) for each in got["imageIds"])
        return gone, [each["failureCode"] for each in got["failures"]]

    def check_deletion(self, index, children, single, sbom):
        by_digest = [{"imageDigest": digest} for digest in children]
        refused = "ImageReferencedByManifestList"
        expect("children before their index", ([], [refused] * 2), self.delete(*by_digest))
        expect("one tag of two", ([(index, "stable")], []), self.delete({"imageTag": "stable"}))
        expect("the tag is gone", ["v1"], self.images()[index]["imageTags"])
        mixed = self.delete({"imageDigest": index}, {"imageTag": "nowhere"}, {"imageDigest": single, "imageTag": "v1"})
        expect("a batch of which one succeeds", ([(index, "v1")], ["ImageNotFound", "ImageTagDoesNotMatchDigest"]), mixed)
        expect("children after their index", ([(digest, None) for digest in sorted(children)], []),
               self.delete(*by_digest))
        expect("what is left", sorted([single, sbom]), sorted(self.images()))
        expect("an archived image", ([(single, "old")], []), self.delete({"imageTag": "old"}))

    # What else names images.

    def read_sources(self):
        functions = self.functions.list_functions(FunctionVersion="ALL")["Functions"]
        expect("versions of functions", ["$LATEST", "1"], [each["Version"] for each in functions])
        code = self.functions.get_function(FunctionName="app", Qualifier="1")["Code"]
        expect("a resolved image", True, "@sha256:" in code["ResolvedImageUri"])
        expect("versions of one", 2, len(self.functions.list_versions_by_function(FunctionName="app")["Versions"]))
        expect("aliases of one", [], self.functions.list_aliases(FunctionName="app")["Aliases"])
        projects = self.codebuild.list_projects()["projects"]
        found = self.codebuild.batch_get_projects(names=projects)["projects"]
        expect("image of the project", True, found[0]["environment"]["image"].endswith("/app:v1"))
        expect("buses", ["default"], [bus["Name"] for bus in self.events.list_event_buses()["EventBuses"]])
        rules = [rule["Name"] for rule in self.events.list_rules()["Rules"]]
        targets = self.events.list_targets_by_rule(Rule=rules[0])["Targets"]
        expect("task of the rule", True, targets[0]["EcsParameters"]["TaskDefinitionArn"].endswith("/app:1"))
        schedule = self.scheduler.list_schedules()["Schedules"][0]
        target = self.scheduler.get_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])["Target"]
        expect("task of the schedule", True, target["EcsParameters"]["TaskDefinitionArn"].endswith("/app:1"))
        daemon = self.ecs.list_daemons()["daemonSummariesList"][0]["daemonArn"]
        revision = self.ecs.describe_daemon(daemonArn=daemon)["daemon"]["currentRevisions"][0]["arn"]
        shown = self.ecs.describe_daemon_revisions(daemonRevisionArns=[revision])["daemonRevisions"][0]
        expect("digest of the daemon", True, shown["containerImages"][0]["imageDigest"].startswith("sha256:"))


def main(port):
    drive = Drive(port)
    try:
        drive.run()
    except (Unexpected, BotoCoreError, ClientError) as problem:
        print(f"registry: FAILED: {problem}", file=sys.stderr)
        drive.judge.report()
        return 1
    if not drive.judge.report():
        return 1
    print("registry: pushed, read back and emptied", flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
