"""A registry as boto3 fills it: what the drives push with, and the judge that listens."""

import base64
import hashlib
import json
import time

import boto3
from botocore.config import Config

import common
import validate

OCI = "application/vnd.oci.image"
INDEX, MANIFEST, CONFIG = f"{OCI}.index.v1+json", f"{OCI}.manifest.v1+json", f"{OCI}.config.v1+json"
SBOM = "application/spdx+json"
LIMIT_RUNNING = 60


class Unexpected(Exception):
    """What was expected and what was found."""


def expect(what, wanted, found):
    if wanted != found:
        raise Unexpected(f"{what}: expected {wanted!r}, found {found!r}")


def digest_of(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Listener:
    """Hands every exchange of a client to the judge, as JSON carried it."""

    def __init__(self, judge, client, service):
        self.judge, self.service, self.request = judge, service, {}
        client.meta.events.register("before-parameter-build.*.*", self.asked)
        client.meta.events.register("before-parse.*.*", self.answered)

    def asked(self, params, **_):
        self.request = {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in params.items()
        }

    def answered(self, operation_model, response_dict, **_):
        reply = json.loads(response_dict["body"] or b"{}")
        self.judge.exchange(
            self.service, operation_model.name, response_dict["status_code"], self.request, reply
        )


class Registry:
    """One repository, and clients of every service, all of whose exchanges are judged."""

    def __init__(self, port, access_key, repository):
        self.names = common.names()
        self.judge = validate.Judge()
        self.repository, self.uploaded = repository, set()
        self.host = f"{self.names['ACCOUNT']}.dkr.ecr.{self.names['REGION']}.amazonaws.com"
        self.endpoint = f"http://127.0.0.1:{port}"
        self.session = boto3.Session(access_key, "not-a-secret", region_name=self.names["REGION"])
        self.ecr, self.ecs = self.client("ecr"), self.client("ecs")

    def client(self, service, judged=True):
        config = Config(connect_timeout=5, read_timeout=30)
        made = self.session.client(service, endpoint_url=self.endpoint, config=config)
        if judged:
            Listener(self.judge, made, service)
        return made

    # Pushing, as clients of the registry's own API would.

    def upload(self, text):
        """Uploads a blob, once; its digest."""
        digest = digest_of(text)
        if (self.repository, digest) in self.uploaded:
            return digest
        self.uploaded.add((self.repository, digest))
        upload = self.ecr.initiate_layer_upload(repositoryName=self.repository)["uploadId"]
        blob = text.encode()
        self.ecr.upload_layer_part(
            repositoryName=self.repository, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob
        )
        self.ecr.complete_layer_upload(repositoryName=self.repository, uploadId=upload, layerDigests=[digest])
        return digest

    def put_manifest(self, text, tag=None):
        """Puts a manifest; its digest."""
        more = {"imageTag": tag} if tag else {}
        image = self.ecr.put_image(repositoryName=self.repository, imageManifest=text, **more)["image"]
        expect("digest of what was put", digest_of(text), image["imageId"]["imageDigest"])
        return image["imageId"]["imageDigest"]

    def put_image(self, architecture, tag=None, note=""):
        config = json.dumps({"architecture": architecture, "os": "linux", "comment": note})
        digest = self.upload(config)
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest},
        }
        return self.put_manifest(json.dumps(manifest), tag)

    def put_index(self, children, tag):
        manifests = [
            {"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": {"architecture": name, "os": "linux"}}
            for digest, name in zip(children, ("arm64", "amd64"))
        ]
        return self.put_manifest(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}), tag)

    def put_referrer(self, subject):
        config = self.upload("{}")
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SBOM, "layers": [],
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": config},
            "subject": {"mediaType": INDEX, "digest": subject, "size": 1},
            "annotations": {"made-by": "judge"},
        }
        return self.put_manifest(json.dumps(manifest))

    def manifest_of(self, digest, kind):
        got = self.ecr.batch_get_image(
            repositoryName=self.repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=[kind]
        )
        expect("failures of BatchGetImage", [], got["failures"])
        return got["images"][0]["imageManifest"]

    # Reading back.

    def images(self, status="ANY"):
        """All images by digest, read in pages of two."""
        pages = self.ecr.get_paginator("describe_images").paginate(
            repositoryName=self.repository, filter={"imageStatus": status}, PaginationConfig={"PageSize": 2}
        )
        return {image["imageDigest"]: image for page in pages for image in page["imageDetails"]}

    def wait_until_running(self, arn):
        end = time.monotonic() + LIMIT_RUNNING
        while True:
            task = self.ecs.describe_tasks(cluster=self.names["CLUSTER"], tasks=[arn])["tasks"][0]
            if task["lastStatus"] == "RUNNING":
                return task
            if time.monotonic() > end or task["lastStatus"] == "STOPPED":
                raise Unexpected(f"the task: expected RUNNING, found {task['lastStatus']}")
            time.sleep(0.5)
