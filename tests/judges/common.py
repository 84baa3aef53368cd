#!/usr/bin/env python3
"""What both drives share: names, and the files that they hand to AWS.

    common.py FOLDER

writes them into FOLDER, for the AWS CLI: pipeline.json, imagedefinitions.zip, rejected.zip, and one action-type-*.json for each of
pipeline/contract.json. Needs Python's own library alone.
"""

import io
import json
import pathlib
import string
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
CONTRACT = HERE.parent.parent / "pipeline" / "contract.json"


def names():
    """names.env as a dictionary."""
    lines = (HERE / "names.env").read_text(encoding="utf-8").splitlines()
    return dict(line.strip().split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def action_types():
    """The requests of CreateCustomActionType, as the committed contract has them."""
    return [entry["definition"] for entry in json.loads(CONTRACT.read_text(encoding="utf-8"))["actionTypes"]]


def pipeline(names):
    """The request of CreatePipeline."""
    template = (HERE / "pipeline.json").read_text(encoding="utf-8")
    return json.loads(string.Template(template).substitute(names))


def image(names, tag="TAG"):
    """The image that is released, or the one of another tag."""
    return f"{names['ACCOUNT']}.dkr.ecr.{names['REGION']}.amazonaws.com/{names['REPOSITORY']}:{names[tag]}"


def release(names, tag="TAG"):
    """The source artifact: a zip with imagedefinitions.json."""
    definitions = json.dumps([{"name": names["CONTAINER"], "imageUri": image(names, tag)}])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("imagedefinitions.json", definitions)
    return packed.getvalue()


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.json").write_text(json.dumps(pipeline(names())), encoding="utf-8")
    (folder / "imagedefinitions.zip").write_bytes(release(names()))
    (folder / "rejected.zip").write_bytes(release(names(), "REJECTED_TAG"))
    for definition in action_types():
        path = folder / f"action-type-{definition['provider']}.json"
        path.write_text(json.dumps(definition), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
