//! The table of inputs: AWS's model of the simulated operations, with its limits.

use super::shapes::Shape::{Date, Flag, List, Map, Number, OneOf, Opaque, Structure, Text};
use super::shapes::{Member, Pattern, Shape};

const MANY: usize = usize::MAX;

const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: true, shape }
}

const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: false, shape }
}

fn all(text: &str, also: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || also.contains(letter))
}

/// Version 4 or not: five groups of lower-case hex digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|group| hex(group))
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws") && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            && role.starts_with("role/"))
}

static ANY: Pattern = Pattern { text: ".*", holds: |_| true };
static WORD: Pattern = Pattern { text: "[0-9A-Za-z_-]+", holds: |text| all(text, "_-") };
static TOKEN: Pattern = Pattern { text: "^[a-zA-Z0-9-]+$", holds: |text| all(text, "-") };
static DOTTED: Pattern = Pattern { text: r"[A-Za-z0-9.@\-_]+", holds: |text| all(text, ".@-_") };
static VARIABLE: Pattern = Pattern { text: r"[A-Za-z0-9@\-_]+", holds: |text| all(text, "@-_") };
static BUCKET: Pattern = Pattern { text: r"[a-zA-Z0-9\-\.]+", holds: |text| all(text, "-.") };
static UUID: Pattern = Pattern { text: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", holds: is_uuid };
static ROLE: Pattern = Pattern { text: r"arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*", holds: is_role };

static STRING: Shape = Text(0, MANY, &ANY);
static NAME: Shape = Text(1, 100, &DOTTED);
static ID: Shape = Text(0, MANY, &UUID);
static NEXT_TOKEN: Shape = Text(1, 2048, &ANY);
static URL: Shape = Text(1, 2048, &ANY);
static REGION: Shape = Text(4, 30, &ANY);
static PROVIDER: Shape = Text(1, 35, &WORD);
static VERSION: Shape = Text(1, 9, &WORD);
static ARTIFACT_NAME: Shape = Text(1, 100, &WORD);
static CATEGORY: Shape = OneOf(&["Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute"]);
static OWNER: Shape = OneOf(&["AWS", "ThirdParty", "Custom"]);
static MAX_RESULTS: Shape = Number(1, 100);
static REVISION: Shape = Text(1, 1500, &ANY);
static SUMMARY: Shape = Text(1, 2048, &ANY);
static EXECUTION_ID: Shape = Text(1, 1500, &ANY);
static KEY: Shape = Text(1, 50, &ANY);
static CONFIGURATION: Shape = Map(MANY, &KEY, &Text(1, 1000, &ANY));
static TAGS: Shape = List(0, MANY, &Structure(&[must("key", &Text(1, 128, &ANY)), must("value", &Text(0, 256, &ANY))]));

static ACTION_TYPE_ID: Shape = Structure(&[
    must("category", &CATEGORY),
    must("owner", &OWNER),
    must("provider", &PROVIDER),
    must("version", &VERSION),
]);

static ARTIFACT_DETAILS: Shape = Structure(&[must("minimumCount", &Number(0, 5)), must("maximumCount", &Number(0, 5))]);

static PROPERTY: Shape = Structure(&[
    must("name", &KEY),
    must("required", &Flag),
    must("key", &Flag),
    must("secret", &Flag),
    may("queryable", &Flag),
    may("description", &Text(1, 160, &ANY)),
    may("type", &OneOf(&["String", "Number", "Boolean"])),
]);

static SETTINGS: Shape = Structure(&[
    may("thirdPartyConfigurationUrl", &URL),
    may("entityUrlTemplate", &URL),
    may("executionUrlTemplate", &URL),
    may("revisionUrlTemplate", &URL),
]);

static ENCRYPTION_KEY: Shape = Structure(&[must("id", &Text(1, 400, &ANY)), must("type", &OneOf(&["KMS"]))]);

static ARTIFACT_STORE: Shape = Structure(&[
    must("type", &OneOf(&["S3"])),
    must("location", &Text(3, 63, &BUCKET)),
    may("encryptionKey", &ENCRYPTION_KEY),
]);

static ENVIRONMENT_VARIABLE: Shape = Structure(&[
    must("name", &Text(1, 128, &VARIABLE)),
    must("value", &Text(1, 2000, &ANY)),
    may("type", &OneOf(&["PLAINTEXT", "SECRETS_MANAGER"])),
]);

static ACTION: Shape = Structure(&[
    must("name", &NAME),
    must("actionTypeId", &ACTION_TYPE_ID),
    may("runOrder", &Number(1, 999)),
    may("configuration", &CONFIGURATION),
    may("commands", &List(1, 50, &Text(1, 1000, &ANY))),
    may(
        "outputArtifacts",
        &List(0, MANY, &Structure(&[must("name", &ARTIFACT_NAME), may("files", &List(1, 10, &Text(1, 128, &ANY)))])),
    ),
    may("inputArtifacts", &List(0, MANY, &Structure(&[must("name", &ARTIFACT_NAME)]))),
    may("outputVariables", &List(1, 15, &Text(1, 128, &ANY))),
    may("roleArn", &Text(0, 1024, &ROLE)),
    may("region", &REGION),
    may("namespace", &Text(1, 100, &VARIABLE)),
    may("timeoutInMinutes", &Number(5, 86400)),
    may("environmentVariables", &List(1, 10, &ENVIRONMENT_VARIABLE)),
]);

/// Conditions, blockers and triggers are refused by name in `structure.rs`, so their inside is not looked at.
static OPAQUE: Shape = Opaque;

static STAGE: Shape = Structure(&[
    must("name", &NAME),
    may("blockers", &OPAQUE),
    must("actions", &List(0, MANY, &ACTION)),
    may("onFailure", &OPAQUE),
    may("onSuccess", &OPAQUE),
    may("beforeEntry", &OPAQUE),
]);

static PIPELINE: Shape = Structure(&[
    must("name", &NAME),
    must("roleArn", &Text(0, 1024, &ROLE)),
    may("artifactStore", &ARTIFACT_STORE),
    may("artifactStores", &Map(MANY, &REGION, &ARTIFACT_STORE)),
    must("stages", &List(0, MANY, &STAGE)),
    may("version", &Number(1, i64::MAX)),
    may("executionMode", &OneOf(&["QUEUED", "SUPERSEDED", "PARALLEL"])),
    may("pipelineType", &OneOf(&["V1", "V2"])),
    may(
        "variables",
        &List(
            0,
            50,
            &Structure(&[
                must("name", &Text(1, 128, &VARIABLE)),
                may("defaultValue", &Text(1, 1000, &ANY)),
                may("description", &Text(0, 200, &ANY)),
            ]),
        ),
    ),
    may("triggers", &OPAQUE),
]);

static CREATE_CUSTOM_ACTION_TYPE: Shape = Structure(&[
    must("category", &CATEGORY),
    must("provider", &PROVIDER),
    must("version", &VERSION),
    may("settings", &SETTINGS),
    may("configurationProperties", &List(0, 10, &PROPERTY)),
    must("inputArtifactDetails", &ARTIFACT_DETAILS),
    must("outputArtifactDetails", &ARTIFACT_DETAILS),
    may("tags", &TAGS),
]);

static DELETE_CUSTOM_ACTION_TYPE: Shape =
    Structure(&[must("category", &CATEGORY), must("provider", &PROVIDER), must("version", &VERSION)]);

static LIST_ACTION_TYPES: Shape =
    Structure(&[may("actionOwnerFilter", &OWNER), may("nextToken", &NEXT_TOKEN), may("regionFilter", &REGION)]);

static CREATE_PIPELINE: Shape = Structure(&[must("pipeline", &PIPELINE), may("tags", &TAGS)]);

static UPDATE_PIPELINE: Shape = Structure(&[must("pipeline", &PIPELINE)]);

static GET_PIPELINE: Shape = Structure(&[must("name", &NAME), may("version", &Number(1, i64::MAX))]);

static PIPELINE_BY_NAME: Shape = Structure(&[must("name", &NAME)]);

static LIST_PIPELINES: Shape = Structure(&[may("nextToken", &NEXT_TOKEN), may("maxResults", &Number(1, 1000))]);

static START_PIPELINE_EXECUTION: Shape = Structure(&[
    must("name", &NAME),
    may(
        "variables",
        &List(1, 50, &Structure(&[must("name", &Text(1, 128, &VARIABLE)), must("value", &Text(1, 1000, &ANY))])),
    ),
    may("clientRequestToken", &Text(1, 128, &TOKEN)),
    may(
        "sourceRevisions",
        &List(
            0,
            50,
            &Structure(&[
                must("actionName", &NAME),
                must("revisionType", &OneOf(&["COMMIT_ID", "IMAGE_DIGEST", "S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"])),
                must("revisionValue", &REVISION),
            ]),
        ),
    ),
]);

static STOP_PIPELINE_EXECUTION: Shape = Structure(&[
    must("pipelineName", &NAME),
    must("pipelineExecutionId", &ID),
    may("abandon", &Flag),
    may("reason", &Text(0, 200, &ANY)),
]);

static RETRY_STAGE_EXECUTION: Shape = Structure(&[
    must("pipelineName", &NAME),
    must("stageName", &NAME),
    must("pipelineExecutionId", &ID),
    must("retryMode", &OneOf(&["FAILED_ACTIONS", "ALL_ACTIONS"])),
]);

static ROLLBACK_STAGE: Shape =
    Structure(&[must("pipelineName", &NAME), must("stageName", &NAME), must("targetPipelineExecutionId", &ID)]);

static GET_PIPELINE_EXECUTION: Shape = Structure(&[must("pipelineName", &NAME), must("pipelineExecutionId", &ID)]);

static LIST_PIPELINE_EXECUTIONS: Shape = Structure(&[
    must("pipelineName", &NAME),
    may("maxResults", &MAX_RESULTS),
    may("filter", &Structure(&[may("succeededInStage", &Structure(&[may("stageName", &NAME)]))])),
    may("nextToken", &NEXT_TOKEN),
]);

static LIST_ACTION_EXECUTIONS: Shape = Structure(&[
    must("pipelineName", &NAME),
    may(
        "filter",
        &Structure(&[
            may("pipelineExecutionId", &ID),
            may(
                "latestInPipelineExecution",
                &Structure(&[must("pipelineExecutionId", &ID), must("startTimeRange", &OneOf(&["Latest", "All"]))]),
            ),
        ]),
    ),
    may("maxResults", &MAX_RESULTS),
    may("nextToken", &NEXT_TOKEN),
]);

static POLL_FOR_JOBS: Shape = Structure(&[
    must("actionTypeId", &ACTION_TYPE_ID),
    may("maxBatchSize", &Number(1, i32::MAX as i64)),
    may("queryParam", &Map(1, &KEY, &Text(1, 50, &WORD))),
]);

static ACKNOWLEDGE_JOB: Shape = Structure(&[must("jobId", &ID), must("nonce", &Text(1, 50, &ANY))]);

static GET_JOB_DETAILS: Shape = Structure(&[must("jobId", &ID)]);

static PUT_JOB_SUCCESS_RESULT: Shape = Structure(&[
    must("jobId", &ID),
    may(
        "currentRevision",
        &Structure(&[
            must("revision", &REVISION),
            must("changeIdentifier", &Text(1, 100, &ANY)),
            may("created", &Date),
            may("revisionSummary", &SUMMARY),
        ]),
    ),
    may("continuationToken", &Text(1, 2048, &ANY)),
    may(
        "executionDetails",
        &Structure(&[
            may("summary", &SUMMARY),
            may("externalExecutionId", &EXECUTION_ID),
            may("percentComplete", &Number(0, 100)),
        ]),
    ),
    may("outputVariables", &Map(MANY, &Text(1, MANY, &VARIABLE), &STRING)),
]);

static PUT_JOB_FAILURE_RESULT: Shape = Structure(&[
    must("jobId", &ID),
    must(
        "failureDetails",
        &Structure(&[
            must(
                "type",
                &OneOf(&[
                    "JobFailed",
                    "ConfigurationError",
                    "PermissionError",
                    "RevisionOutOfSync",
                    "RevisionUnavailable",
                    "SystemUnavailable",
                ]),
            ),
            must("message", &Text(1, 5000, &ANY)),
            may("externalExecutionId", &EXECUTION_ID),
        ]),
    ),
]);

static PUT_APPROVAL_RESULT: Shape = Structure(&[
    must("pipelineName", &NAME),
    must("stageName", &NAME),
    must("actionName", &NAME),
    must(
        "result",
        &Structure(&[must("summary", &Text(0, 512, &ANY)), must("status", &OneOf(&["Approved", "Rejected"]))]),
    ),
    must("token", &ID),
]);

/// The shape of an operation's input; `None` where the operation is not simulated.
pub(super) fn of(operation: &str) -> Option<&'static Shape> {
    Some(match operation {
        "CreateCustomActionType" => &CREATE_CUSTOM_ACTION_TYPE,
        "DeleteCustomActionType" => &DELETE_CUSTOM_ACTION_TYPE,
        "ListActionTypes" => &LIST_ACTION_TYPES,
        "CreatePipeline" => &CREATE_PIPELINE,
        "UpdatePipeline" => &UPDATE_PIPELINE,
        "GetPipeline" => &GET_PIPELINE,
        "DeletePipeline" | "GetPipelineState" => &PIPELINE_BY_NAME,
        "ListPipelines" => &LIST_PIPELINES,
        "StartPipelineExecution" => &START_PIPELINE_EXECUTION,
        "StopPipelineExecution" => &STOP_PIPELINE_EXECUTION,
        "RetryStageExecution" => &RETRY_STAGE_EXECUTION,
        "RollbackStage" => &ROLLBACK_STAGE,
        "GetPipelineExecution" => &GET_PIPELINE_EXECUTION,
        "ListPipelineExecutions" => &LIST_PIPELINE_EXECUTIONS,
        "ListActionExecutions" => &LIST_ACTION_EXECUTIONS,
        "PollForJobs" => &POLL_FOR_JOBS,
        "AcknowledgeJob" => &ACKNOWLEDGE_JOB,
        "GetJobDetails" => &GET_JOB_DETAILS,
        "PutJobSuccessResult" => &PUT_JOB_SUCCESS_RESULT,
        "PutJobFailureResult" => &PUT_JOB_FAILURE_RESULT,
        "PutApprovalResult" => &PUT_APPROVAL_RESULT,
        _ => return None,
    })
}
