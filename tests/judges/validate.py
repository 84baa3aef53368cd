#!/usr/bin/env python3
"""Holds the simulated AWS against botocore's service models.

    validate.py EXCHANGES.jsonl...

Every line is one exchange, as JSON carries it (dates are epoch seconds):

    {"service": "ecs", "operation": "DescribeServices", "status": 200, "request": {...}, "reply": {...}}

Judged are the reply (members, types, required members, enum values, lengths, ranges, patterns, list sizes), the error
codes, and the request where the simulator accepted it: what AWS would refuse must not pass here. The end is a table of
findings and a count. Exit code 1: something was found, or there was nothing to judge. Exit code 2:
it could not judge at all.
"""

import collections
import json
import pathlib
import re
import sys

import botocore.model
import botocore.session
import botocore.validate

SERVICES = (
    "codepipeline", "ecs", "ecr", "cloudwatch", "logs", "lambda", "codebuild", "events", "scheduler"
)

# Errors that any operation may answer, whether or not its model names them.
COMMON_ERRORS = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
}

# Where AWS's own replies break AWS's own model: (service, operation, path, kind of finding).
AWS_BREAKS_ITS_MODEL = {
    # The list's shape is that of BatchGetImage's request (1 to 100), but a page holds 0 to 1000.
    ("ecr", "ListImages", "reply.imageIds", "size"),
    # Where nothing was deleted, or nothing was missing, the lists are empty.
    ("ecr", "BatchDeleteImage", "reply.imageIds", "size"),
    ("codebuild", "BatchGetProjects", "reply.projectsNotFound", "size"),
    ("events", "ListTargetsByRule", "reply.Targets", "size"),
}

# 2000-01-01 to 2100-01-01: milliseconds where seconds belong fall outside.
EARLIEST, LATEST = 946_684_800, 4_102_444_800

INTEGERS = {"integer": 2**31, "long": 2**63}

# Java's character classes that Python's `re` does not know. Close enough for names and tags.
JAVA_CLASSES = {
    r"\p{L}": r"a-zA-Z\u00c0-\uffff",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{N}": r"0-9",
    r"\p{P}": r"!-/:-@\[-`{-~\u2010-\u2027",
    r"\p{S}": r"$+<->^`|~",
    r"\p{Zs}": r" \u00a0",
    r"\p{Z}": r"\s",
}


def pattern_of(text):
    """A model's pattern as Python's, or None where that cannot be."""
    for java, python in JAVA_CLASSES.items():
        text = text.replace(java, python)
    try:
        return re.compile(text.replace(r"\w-_", r"\w\-_"), re.DOTALL)
    except re.error:
        return None


class Judge:
    """Judges exchanges and collects what it finds."""

    def __init__(self):
        session = botocore.session.get_session()
        self.models = {name: session.get_service_model(name) for name in SERVICES}
        self.findings = collections.Counter()
        self.seen = collections.Counter()
        self.unreadable_patterns = set()
        self.patterns = {}

    def line(self, number, text):
        """Judges one line of a file."""
        try:
            exchange = json.loads(text)
            service, operation = exchange["service"], exchange["operation"]
            status, request, reply = exchange["status"], exchange["request"], exchange["reply"]
        except (ValueError, KeyError, TypeError) as problem:
            self.findings[("?", "?", f"line {number}", f"is no exchange: {problem!r}")] += 1
            return
        self.exchange(service, operation, status, request, reply)

    def exchange(self, service, operation, status, request, reply):
        self.service, self.operation = service, operation
        self.seen[(service, operation)] += 1
        model = self.models.get(service)
        if model is None:
            return self.find("", "service", f"unknown service, expected one of {', '.join(SERVICES)}")
        try:
            shapes = model.operation_model(operation)
        except botocore.model.OperationNotFoundError:
            return self.find("", "operation", "no such operation")
        if not isinstance(reply, dict):
            return self.find("reply", "type", f"expected an object, found {kind(reply)}")
        if status >= 400:
            return self.error(shapes, status, reply)
        if "__type" in reply:
            self.find("reply.__type", "status", f"an error with status {status}")
        if shapes.input_shape is not None:
            self.request(shapes.input_shape, request)
        elif request:
            self.find("request", "member", "the operation takes no input")
        if shapes.output_shape is not None:
            self.value(shapes.output_shape, reply, "reply")
        elif reply:
            self.find("reply", "member", f"the operation has no output, found {', '.join(reply)}")

    def request(self, shape, request):
        """An accepted request must be one that AWS would accept: by botocore's validator, and by the finer rules."""
        report = botocore.validate.ParamValidator().validate(request, shape)
        if report.has_errors():
            self.find("request", "accepted", report.generate_report().replace("\n", "; "))
        self.value(shape, request, "request")

    def error(self, shapes, status, reply):
        code = str(reply.get("__type", "")).rsplit("#", 1)[-1].split(":", 1)[0]
        if not code:
            return self.find("reply.__type", "required", "an error without a code")
        if not isinstance(reply.get("message", reply.get("Message")), str):
            self.find("reply.message", "required", f"{code} without a message")
        modelled = {shape.name: shape for shape in shapes.error_shapes}
        modelled.update({shape.error_code: shape for shape in shapes.error_shapes})
        shape = modelled.get(code)
        if shape is None:
            if code not in COMMON_ERRORS:
                self.find("reply.__type", "error code", f"{code} is not an error of this operation")
            return None
        wanted = shape.metadata.get("error", {}).get("httpStatusCode")
        if wanted is not None and wanted != status:
            self.find("reply", "status", f"{code} has status {wanted}, found {status}")
        members = {wire.lower() for wire in shape.members}
        rest = {
            name: value
            for name, value in reply.items()
            if name != "__type" and not (name.lower() == "message" and ("message" not in members or name not in shape.members))
        }
        return self.value(shape, rest, f"reply({code})", required=False)

    def value(self, shape, value, path, required=True):
        """Judges one value and all in it."""
        judge = getattr(self, f"judge_{shape.type_name}", None)
        if judge is None:
            self.find(path, "type", f"the judge knows no {shape.type_name}")
        elif value is None:
            self.find(path, "null", "AWS leaves members out, it does not send null")
        elif shape.type_name == "structure":
            self.judge_structure(shape, value, path, required)
        else:
            judge(shape, value, path)

    def judge_structure(self, shape, value, path, required=True):
        if not isinstance(value, dict):
            return self.wrong_type(path, "an object", value)
        if getattr(shape, "is_document_type", False):
            return None
        names = {wire_name(name, member): name for name, member in shape.members.items()}
        for wire in value:
            if wire not in names:
                self.find(f"{path}.{wire}", "member", f"{shape.name} has no such member")
        for name in shape.required_members if required else ():
            wire = wire_name(name, shape.members[name])
            if wire not in value:
                self.find(f"{path}.{wire}", "required", f"{shape.name} requires it")
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            self.find(path, "union", f"one member of {shape.name} must be set, found {len(value)}")
        for wire, name in names.items():
            if wire in value:
                self.value(shape.members[name], value[wire], f"{path}.{wire}")
        return None

    def judge_list(self, shape, value, path):
        if not isinstance(value, list):
            return self.wrong_type(path, "a list", value)
        self.bounds(shape, len(value), path, "size", "items")
        for item in value:
            self.value(shape.member, item, f"{path}[]")
        return None

    def judge_map(self, shape, value, path):
        if not isinstance(value, dict):
            return self.wrong_type(path, "a map", value)
        self.bounds(shape, len(value), path, "size", "entries")
        for key, item in value.items():
            self.value(shape.key, key, f"{path}{{key}}")
            self.value(shape.value, item, f"{path}{{}}")
        return None

    def judge_string(self, shape, value, path):
        if not isinstance(value, str):
            return self.wrong_type(path, "a string", value)
        self.bounds(shape, len(value), path, "length", "characters")
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            self.find(path, "enum", f"{shorten(value)} is no {shape.name}")
        text = shape.metadata.get("pattern")
        if text:
            if text not in self.patterns:
                self.patterns[text] = pattern_of(text)
            if self.patterns[text] is None:
                self.unreadable_patterns.add(text)
            elif not self.patterns[text].fullmatch(value):
                self.find(path, "pattern", f"{shorten(value)} does not match {text}")
        return None

    def judge_integer(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, int):
            return self.wrong_type(path, f"an {shape.type_name}", value)
        size = INTEGERS[shape.type_name]
        if not -size <= value < size:
            self.find(path, "range", f"{value} is no {shape.type_name}")
        return self.bounds(shape, value, path, "range", "")

    judge_long = judge_integer

    def judge_double(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self.wrong_type(path, "a number", value)
        return self.bounds(shape, value, path, "range", "")

    judge_float = judge_double

    def judge_boolean(self, shape, value, path):
        if not isinstance(value, bool):
            self.wrong_type(path, "a boolean", value)

    def judge_timestamp(self, shape, value, path):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong_type(path, "epoch seconds", value)
        elif not EARLIEST <= value < LATEST:
            self.find(path, "range", f"{value} is no date in this century")

    def judge_blob(self, shape, value, path):
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", value):
            self.wrong_type(path, "base64", value)

    def bounds(self, shape, size, path, what, unit):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and size < least:
            self.find(path, what, f"{size} {unit}, the least is {least}".replace("  ", " "))
        if most is not None and size > most:
            self.find(path, what, f"{size} {unit}, the most is {most}".replace("  ", " "))

    def wrong_type(self, path, wanted, value):
        self.find(path, "type", f"expected {wanted}, found {kind(value)}")

    def find(self, path, what, text):
        if (self.service, self.operation, path, what) not in AWS_BREAKS_ITS_MODEL:
            self.findings[(self.service, self.operation, path, f"{what}: {text}")] += 1

    def report(self, out=sys.stdout):
        """Prints the table and the counts; whether all is well."""
        rows = [(*key, str(count)) for key, count in sorted(self.findings.items())]
        if rows:
            head = ("service", "operation", "path", "what", "times")
            widths = [max(len(row[column]) for row in [head, *rows]) for column in range(3)]
            for row in [head, *rows]:
                cells = [cell.ljust(width) for cell, width in zip(row, widths)]
                print("  ".join([*cells, row[3] if row is head else f"{row[3]} (×{row[4]})"]), file=out)
        for text in sorted(self.unreadable_patterns):
            print(f"note: a pattern was passed over, Python cannot read it: {text}", file=out)
        total = sum(self.seen.values())
        print(
            f"{total} exchanges of {len(self.seen)} operations judged by botocore {botocore.__version__}: "
            f"{len(rows)} findings",
            file=out,
        )
        if total == 0:
            print("nothing was judged: a judge that saw nothing has not judged", file=out)
        return total > 0 and not rows


def wire_name(name, member):
    """What JSON calls a member. In paths and queries it stands by its own name in an exchange."""
    return name if "location" in member.serialization else member.serialization.get("name", name)


def kind(value):
    """A value's type in JSON's words, and the value itself where it is short."""
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value)) or f"{type(value).__name__} {shorten(value)}"


def shorten(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def pinned_version():
    """The botocore that requirements.txt pins: older models do not know what newer ones do."""
    lines = (pathlib.Path(__file__).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("botocore==") for line in lines if line.startswith("botocore=="))


def main(paths):
    if not paths or paths[0].startswith("-"):
        print(__doc__)
        return 2
    pinned = pinned_version()
    if botocore.__version__ != pinned:
        print(f"expected botocore {pinned}, as requirements.txt pins it, found {botocore.__version__}")
        return 2
    judge = Judge()
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    judge.line(number, text)
    return 0 if judge.report() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
