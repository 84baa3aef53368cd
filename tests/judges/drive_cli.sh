#!/usr/bin/env bash
# Takes a release through the whole pipeline with the AWS CLI, against the loopback mount of `cargo demo --serve PORT`.
#
#   drive_cli.sh PORT [WORK_FOLDER]
#
# Creates the action types and the pipeline, puts the release, starts, approves twice, and then asserts that every task
# of both services runs the new image. Then it rejects another release behind its canary, and sees the canary return. Names stand in names.env. Needs `aws` and `python3` on the PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${1:?"usage: drive_cli.sh PORT [WORK_FOLDER]"}
work=${2:-$(mktemp -d)}
# shellcheck source=names.env
source "$here/names.env"

export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_DEFAULT_REGION=$REGION AWS_REGION=$REGION
export AWS_ACCESS_KEY_ID=AKIAJUDGECLI AWS_SECRET_ACCESS_KEY=not-a-secret AWS_SESSION_TOKEN=
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
unset AWS_PROFILE AWS_DEFAULT_PROFILE

say() { printf 'aws: %s\n' "$*"; }

fail() {
  say "FAILED: $*" >&2
  aws codepipeline get-pipeline-state --name "$PIPELINE" --output json >&2 || true
  exit 1
}

# expect WHAT WANTED FOUND
expect() { [[ $2 == "$3" ]] || fail "$1: expected '$2', found '$3'"; }

# query SERVICE OPERATION EXPRESSION ARGUMENTS...: the answer as text.
query() {
  local service=$1 operation=$2 expression=$3
  shift 3
  aws "$service" "$operation" --query "$expression" --output text "$@"
}

execution_status() {
  query codepipeline list-pipeline-executions \
    "pipelineExecutionSummaries[?pipelineExecutionId=='$1'].status | [0]" --pipeline-name "$PIPELINE"
}

# await_end EXECUTION SECONDS WANTED
await_end() {
  local end=$((SECONDS + $2)) status
  while :; do
    status=$(execution_status "$1")
    case $status in
      "$3") return ;;
      Succeeded | Failed | Stopped | Superseded | Cancelled) fail "execution $1: expected $3, found $status" ;;
    esac
    ((SECONDS < end)) || fail "execution $1: expected $3 within $2 s, is still $status"
    sleep 0.5
  done
}

# approve EXECUTION STAGE ACTION SECONDS [ANSWER]
approve() {
  local end=$((SECONDS + $4)) status token answer=${5:-Approved}
  while :; do
    token=$(query codepipeline get-pipeline-state \
      "stageStates[?stageName=='$2'] | [0].actionStates[?actionName=='$3'] | [0].latestExecution.token" --name "$PIPELINE")
    [[ $token == None ]] || break
    status=$(execution_status "$1")
    [[ $status == InProgress ]] || fail "$2/$3: expected to wait for an approval, but the execution is $status"
    ((SECONDS < end)) || fail "$2/$3: expected to wait for an approval within $4 s"
    sleep 0.5
  done
  if [[ $2 == Release ]]; then
    [[ $(task_definition "$CANARY_SERVICE") != "$canary_before" ]] ||
      fail "$CANARY_SERVICE: expected a new task definition before the second approval"
    expect "$FULL_SERVICE before the second approval" "$full_before" "$(task_definition "$FULL_SERVICE")"
  fi
  aws codepipeline put-approval-result --pipeline-name "$PIPELINE" --stage-name "$2" --action-name "$3" \
    --token "$token" --result "summary=judged,status=$answer" >/dev/null
  say "answered $2/$3: $answer"
}

task_definition() {
  query ecs describe-services 'services[0].taskDefinition' --cluster "$CLUSTER" --services "$1"
}

# The counts and settings that a release must leave as they were.
settings() {
  query ecs describe-services "services[0].[desiredCount, runningCount, length(deployments), \
deploymentConfiguration.minimumHealthyPercent, deploymentConfiguration.maximumPercent]" \
    --cluster "$CLUSTER" --services "$1"
}

python3 "$here/common.py" "$work"
canary_before=$(task_definition "$CANARY_SERVICE")
full_before=$(task_definition "$FULL_SERVICE")
canary_settings=$(settings "$CANARY_SERVICE")
full_settings=$(settings "$FULL_SERVICE")

created=0
for file in "$work"/action-type-*.json; do
  owner=$(query codepipeline create-custom-action-type 'actionType.id.owner' --cli-input-json "file://$file")
  expect "owner of $(basename "$file")" Custom "$owner"
  created=$((created + 1))
done
listed=$(query codepipeline list-action-types 'length(actionTypes)' --action-owner-filter Custom)
expect "custom action types" "$created" "$listed"
say "created $created action types"

aws s3api create-bucket --bucket "$ARTIFACT_BUCKET" \
  --create-bucket-configuration "LocationConstraint=$REGION" >/dev/null
aws codepipeline create-pipeline --cli-input-json "file://$work/pipeline.json" >/dev/null
# Creating a pipeline starts it. There is no release yet, so the source has to fail.
first=$(query codepipeline list-pipeline-executions 'pipelineExecutionSummaries[0].pipelineExecutionId' \
  --pipeline-name "$PIPELINE")
[[ $first != None ]] || fail "expected create-pipeline to start an execution"
await_end "$first" "$LIMIT_SOURCE" Failed
say "created pipeline $PIPELINE"

aws s3api put-object --bucket "$SOURCE_BUCKET" --key "$SOURCE_KEY" --body "$work/imagedefinitions.zip" >/dev/null
aws s3 cp --only-show-errors "s3://$SOURCE_BUCKET/$SOURCE_KEY" "$work/back.zip"
cmp "$work/imagedefinitions.zip" "$work/back.zip" || fail "expected the object to come back as it was put"

execution=$(query codepipeline start-pipeline-execution pipelineExecutionId --name "$PIPELINE")
say "started execution $execution"
approve "$execution" Approve Approve "$LIMIT_APPROVAL"
approve "$execution" Release Approve "$LIMIT_CANARY"
await_end "$execution" "$LIMIT_FULL" Succeeded
actions=$(query codepipeline list-action-executions \
  "length(actionExecutionDetails[?status=='Succeeded'])" --pipeline-name "$PIPELINE" \
  --filter "pipelineExecutionId=$execution")
expect "actions that succeeded" 5 "$actions"
say "the execution succeeded"

aws ecs wait services-stable --cluster "$CLUSTER" --services "$CANARY_SERVICE" "$FULL_SERVICE"
expect "counts and percents of $CANARY_SERVICE after the release" "$canary_settings" "$(settings "$CANARY_SERVICE")"
expect "counts and percents of $FULL_SERVICE after the release" "$full_settings" "$(settings "$FULL_SERVICE")"

# The release's digest set: what the tag names, and the children of an index.
index_types=(application/vnd.oci.image.index.v1+json application/vnd.docker.distribution.manifest.list.v2+json
  application/vnd.oci.image.manifest.v1+json application/vnd.docker.distribution.manifest.v2+json)
digests=$(query ecr describe-images 'imageDetails[0].imageDigest' --repository-name "$REPOSITORY" \
  --image-ids "imageTag=$TAG")
children=$(query ecr batch-get-image 'images[0].imageManifest' --repository-name "$REPOSITORY" \
  --image-ids "imageTag=$TAG" --accepted-media-types "${index_types[@]}" |
  python3 -c 'import json, sys; print(*(child["digest"] for child in json.load(sys.stdin).get("manifests", [])))')
digests=" $digests $children "
image=$ACCOUNT.dkr.ecr.$REGION.amazonaws.com/$REPOSITORY

tasks=0
for service in "$CANARY_SERVICE" "$FULL_SERVICE"; do
  before=$full_before
  [[ $service == "$FULL_SERVICE" ]] || before=$canary_before
  revision=$(task_definition "$service")
  [[ $revision != "$before" ]] || fail "$service: expected a new task definition, found $revision as before"
  released=$(query ecs describe-task-definition \
    "taskDefinition.containerDefinitions[?name=='$CONTAINER'].image | [0]" --task-definition "$revision")
  [[ $released == "$image:$TAG" || ($released == "$image@"* && $digests == *" ${released#*@} "*) ]] ||
    fail "$revision: expected $image:$TAG or one of its digests, found $released"
  # One line a page.
  listed=$(query ecs list-tasks taskArns --cluster "$CLUSTER" --service-name "$service")
  read -r -d '' -a arns <<<"$listed" || true
  for ((start = 0; start < ${#arns[@]}; start += 100)); do
    running=$(query ecs describe-tasks "tasks[].containers[?name=='$CONTAINER'].imageDigest[]" \
      --cluster "$CLUSTER" --tasks "${arns[@]:start:100}")
    for digest in $running; do
      [[ $digests == *" $digest "* ]] || fail "$service: expected every task to run one of$digests, found $digest"
      tasks=$((tasks + 1))
    done
  done
done
((tasks > 0)) || fail "expected running tasks, found none"
say "all $tasks tasks run the new image"

# A release that is rejected: nobody but the worker touches its canary, which goes back.
full_before=$(task_definition "$FULL_SERVICE")
canary_before=$(task_definition "$CANARY_SERVICE")
digest_of() {
  local arns
  read -r -d '' -a arns <<<"$(query ecs list-tasks taskArns --cluster "$CLUSTER" --service-name "$1")" || true
  query ecs describe-tasks "tasks[].containers[?name=='$CONTAINER'].imageDigest[]" --cluster "$CLUSTER" \
    --tasks "${arns[@]}" | tr '\t' '\n' | sort -u
}
before=$(digest_of "$CANARY_SERVICE")
aws s3api put-object --bucket "$SOURCE_BUCKET" --key "$SOURCE_KEY" --body "$work/rejected.zip" >/dev/null
execution=$(query codepipeline start-pipeline-execution pipelineExecutionId --name "$PIPELINE")
approve "$execution" Approve Approve "$LIMIT_APPROVAL"
approve "$execution" Release Approve "$LIMIT_CANARY" Rejected
await_end "$execution" "$LIMIT_APPROVAL" Failed
end=$((SECONDS + LIMIT_RETURN))
until [[ $(digest_of "$CANARY_SERVICE") == "$before" ]]; do
  ((SECONDS < end)) || fail "$CANARY_SERVICE: expected to run $before again within $LIMIT_RETURN s after the rejection"
  sleep 0.5
done
expect "$FULL_SERVICE after the rejection" "$full_before" "$(task_definition "$FULL_SERVICE")"
say "the canary of a release that was rejected went back"

# The services that a person looks into next must be readable, too.
aws cloudwatch describe-alarms --max-items 10 >/dev/null
aws logs describe-log-groups --max-items 10 >/dev/null
say "the whole pipeline, as expected"
