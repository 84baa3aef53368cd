//! What CodePipeline remembers. The operations and events of the other files change it; tests read it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{
    ActionDeclaration, ActionExecutionStatus, ActionType, ActionTypeId, CurrentRevision, ExecutionMode, ExecutionType,
    FailureType, JobStatus, PipelineDeclaration, PipelineExecutionStatus, SourceRevisionOverride, StageDeclaration,
    StageExecutionStatus, TriggerType,
};

/// All state.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) action_types: BTreeMap<ActionTypeKey, CustomType>,
    pub(super) pipelines: BTreeMap<String, Pipeline>,
    /// In the order in which they were created.
    pub(super) jobs: Vec<Job>,
    pub(super) credentials: BTreeMap<String, Credentials>,
    pub(super) offer_overlap: Duration,
    pub(super) offered_again: Option<Duration>,
}

/// An action type's identity: category, owner, provider, version. Shown as `Deploy/Custom/Coalmine-Canary/1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionTypeKey {
    /// `Source`, `Build`, `Deploy`, `Test`, `Invoke`, `Approval`, `Compute`.
    pub category: String,
    /// `AWS`, `ThirdParty`, `Custom`.
    pub owner: String,
    /// The provider's name.
    pub provider: String,
    /// The version, a string.
    pub version: String,
}

impl From<&ActionTypeId> for ActionTypeKey {
    fn from(id: &ActionTypeId) -> Self {
        Self {
            category: id.category.as_str().to_owned(),
            owner: id.owner.as_str().to_owned(),
            provider: id.provider.clone(),
            version: id.version.clone(),
        }
    }
}

impl fmt::Display for ActionTypeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.category, self.owner, self.provider, self.version)
    }
}

/// A custom action type.
#[derive(Clone, Debug)]
pub(super) struct CustomType {
    pub(super) definition: ActionType,
    /// A deleted version can come back only with the same definition.
    pub(super) deleted: bool,
}

/// The temporary credentials of one hand-out of one job.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) expires: SystemTime,
    /// The artifact store that they reach.
    pub(super) bucket: String,
}

/// A pipeline with its history.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The name.
    pub name: String,
    /// Every version of its structure by number, from 1.
    pub versions: BTreeMap<i32, Arc<PipelineDeclaration>>,
    /// When it was created.
    pub created: SystemTime,
    /// When its structure changed last.
    pub updated: SystemTime,
    /// All executions in the order of their start.
    pub executions: Vec<Execution>,
    /// The lock of each stage by its name.
    pub locks: BTreeMap<String, Lock>,
    /// The executions that client request tokens stand for.
    pub(super) tokens: BTreeMap<String, String>,
    /// The newest version of each source object, bucket and key, that an execution was started with.
    pub(super) seen: BTreeMap<(String, String), String>,
}

impl Pipeline {
    /// The number of the newest version and its structure.
    #[must_use]
    pub fn newest(&self) -> Option<(i32, &Arc<PipelineDeclaration>)> {
        self.versions.last_key_value().map(|(version, declaration)| (*version, declaration))
    }

    /// An execution by its id.
    #[must_use]
    pub fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.iter().rev().find(|execution| execution.id == id)
    }

    /// How its executions pass one another: SUPERSEDED where it is not said.
    #[must_use]
    pub fn mode(&self) -> ExecutionMode {
        let mode = self.newest().and_then(|(_, declaration)| declaration.execution_mode.clone());
        mode.unwrap_or(ExecutionMode::Superseded)
    }
}

/// The lock of one stage: one execution inside, the others before it. Executions in PARALLEL mode pass it by.
#[derive(Clone, Debug, Default)]
pub struct Lock {
    /// The execution inside.
    pub holder: Option<String>,
    /// The executions that wait: at most one in SUPERSEDED mode, the next one first in QUEUED mode.
    pub waiting: Vec<String>,
    /// The execution that was inside last; the holder where there is one.
    pub latest: Option<String>,
}

/// One execution of a pipeline.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The pipelineExecutionId.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The version of the structure that it runs.
    pub version: i32,
    /// The pipeline's mode when it started: it stays the execution's own.
    pub mode: ExecutionMode,
    /// The execution that a stage is rolled back to. `None`: an execution of type STANDARD.
    pub rollback_target: Option<String>,
    /// The request that stops or stopped it; a retry forgets it.
    pub stop: Option<Stop>,
    /// Its status.
    pub status: PipelineExecutionStatus,
    /// When it started.
    pub started: SystemTime,
    /// When its status or that of one of its stages or actions changed last.
    pub updated: SystemTime,
    /// What started it.
    pub trigger: TriggerType,
    /// The caller's ARN, or the source's.
    pub trigger_detail: String,
    /// The pipeline's variables with the values of this execution.
    pub variables: BTreeMap<String, String>,
    /// Every declared stage, in order.
    pub stages: Vec<StageRun>,
    /// Every action execution, in the order of their start. A repeated action appends a new one.
    pub actions: Vec<ActionRun>,
    /// The artifacts made so far, by name.
    pub artifacts: BTreeMap<String, ArtifactCopy>,
    /// The output variables of finished actions, by namespace.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The stage that it is in or waits for, as an index into `stages`.
    pub position: usize,
    /// The position at which it has succeeded: behind the last stage, or behind the one that is rolled back.
    pub(super) end: usize,
    pub(super) declaration: Arc<PipelineDeclaration>,
    pub(super) overrides: Vec<SourceRevisionOverride>,
    /// The pipeline's structure changed: it ends when the actions in progress have.
    pub(super) cancelling: bool,
}

impl Execution {
    /// An action execution by its id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&ActionRun> {
        self.actions.iter().rev().find(|action| action.id == id)
    }

    /// The newest execution of an action, by the names of stage and action.
    #[must_use]
    pub fn latest_action(&self, stage: &str, action: &str) -> Option<&ActionRun> {
        self.actions.iter().rev().find(|run| run.stage == stage && run.name == action)
    }

    /// ROLLBACK where a stage was rolled back, else STANDARD.
    #[must_use]
    pub fn execution_type(&self) -> ExecutionType {
        if self.rollback_target.is_some() { ExecutionType::Rollback } else { ExecutionType::Standard }
    }

    /// Whether it goes on or has yet to stop.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.status, PipelineExecutionStatus::InProgress | PipelineExecutionStatus::Stopping)
    }

    /// Its stages before it enters the first one.
    pub(super) fn fresh_stages(declaration: &PipelineDeclaration) -> Vec<StageRun> {
        let fresh = |declared: &StageDeclaration| StageRun {
            name: declared.name.clone(),
            status: None,
            entered: None,
            retries: 0,
        };
        declaration.stages.iter().map(fresh).collect()
    }

    /// The execution of an action that counts: the newest one, unless a retry is to repeat it.
    pub(super) fn counting_action(&self, stage: &str, action: &str) -> Option<&ActionRun> {
        self.latest_action(stage, action).filter(|run| !run.retried)
    }

    pub(super) fn declared_stage(&self, name: &str) -> Option<&StageDeclaration> {
        self.declaration.stages.iter().find(|stage| stage.name == name)
    }

    pub(super) fn declared_action(&self, stage: &str, name: &str) -> Option<&ActionDeclaration> {
        self.declared_stage(stage)?.actions.iter().find(|action| action.name == name)
    }
}

/// What a person asked for who stopped an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Whether the actions in progress were abandoned.
    pub abandon: bool,
    /// The person's words, at most 200 letters.
    pub reason: Option<String>,
}

/// A stage within one execution.
#[derive(Clone, Debug)]
pub struct StageRun {
    /// The stage's name.
    pub name: String,
    /// `None` until the execution enters it.
    pub status: Option<StageExecutionStatus>,
    /// When it was entered last.
    pub entered: Option<SystemTime>,
    /// How often it was retried.
    pub retries: i32,
}

impl StageRun {
    /// Whether the execution is in it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, Some(StageExecutionStatus::InProgress | StageExecutionStatus::Stopping))
    }
}

/// One execution of one action.
#[derive(Clone, Debug)]
pub struct ActionRun {
    /// The actionExecutionId.
    pub id: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub name: String,
    /// Its type.
    pub action_type: ActionTypeKey,
    /// Its status.
    pub status: ActionExecutionStatus,
    /// When it started.
    pub started: SystemTime,
    /// When its status, summary or percent changed last.
    pub updated: SystemTime,
    /// What the worker or the approver said last.
    pub summary: Option<String>,
    /// How far the worker says it is, 0 to 100.
    pub percent: Option<i32>,
    /// The worker's own id, or an approval's token.
    pub external_execution_id: Option<String>,
    /// Why it failed.
    pub error: Option<ActionError>,
    /// An approval's token.
    pub token: Option<String>,
    /// Who answered an approval: an ARN.
    pub updated_by: Option<String>,
    /// The configuration as declared, with variable references.
    pub configuration: BTreeMap<String, String>,
    /// The configuration after its variables were resolved.
    pub resolved: BTreeMap<String, String>,
    /// The artifacts it was given.
    pub input_artifacts: Vec<ArtifactCopy>,
    /// The artifacts it makes.
    pub output_artifacts: Vec<ArtifactCopy>,
    /// The output variables it ended with.
    pub output_variables: BTreeMap<String, String>,
    /// The namespace of its output variables.
    pub namespace: Option<String>,
    /// The revision that a source found or a worker reported.
    pub revision: Option<CurrentRevision>,
    /// A retry of the stage repeats the action: this outcome no longer counts.
    pub retried: bool,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionError {
    /// `JobFailed`, `ConfigurationError`, …
    pub code: String,
    /// What happened, in the words of the worker or of CodePipeline.
    pub message: String,
}

impl ActionError {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    pub(super) fn of(kind: &FailureType, message: &str) -> Self {
        Self::new(kind.as_str(), message)
    }
}

/// Where an artifact lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactCopy {
    /// The artifact's name.
    pub name: String,
    /// The artifact store.
    pub bucket: String,
    /// The object.
    pub key: String,
    /// The source's revision, where a source action made it.
    pub revision: Option<String>,
}

/// A job: one piece of a custom action's work, for one worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// The job id.
    pub id: String,
    /// The type that must be polled for it.
    pub action_type: ActionTypeKey,
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The pipelineExecutionId.
    pub execution: String,
    /// The actionExecutionId: the same for all jobs of one action execution.
    pub action_execution: String,
    /// What the job before this one handed over.
    pub continuation_token: Option<String>,
    /// `Queued`, `Dispatched` (handed out), `InProgress` (acknowledged), `Succeeded`, `Failed` (also where its action
    /// was abandoned: the enumeration has no word of its own for it), `TimedOut`.
    pub status: JobStatus,
    /// When it was created.
    pub created: SystemTime,
    /// From when on it can be polled.
    pub available: SystemTime,
    /// The hand-outs that can still be acknowledged.
    pub offers: Vec<Offer>,
    /// The hand-out that was acknowledged.
    pub acknowledged: Option<Offer>,
    /// When its action was abandoned, if the job was open then. No result is wanted since; the worker is not told.
    pub abandoned: Option<SystemTime>,
    /// The results that were accepted: one for every job that ended in time and was not abandoned, never more.
    pub results: Vec<JobResult>,
    /// How many results came for it that were refused with `InvalidJobStateException`.
    pub refused_results: u32,
}

/// One hand-out of a job.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What the acknowledgement must name.
    pub nonce: String,
    /// When it was handed out.
    pub at: SystemTime,
    /// To whom: the access key.
    pub to: String,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// Success with a continuation token: another job goes on.
    Continued,
    /// Success; the action has succeeded.
    Succeeded,
    /// Failure; the action has failed.
    Failed,
}

impl State {
    pub(super) fn execution_mut(&mut self, pipeline: &str, id: &str) -> Option<&mut Execution> {
        self.pipelines.get_mut(pipeline)?.executions.iter_mut().rev().find(|execution| execution.id == id)
    }

    pub(super) fn action_mut(&mut self, place: &Place) -> Option<&mut ActionRun> {
        let execution = self.execution_mut(&place.pipeline, &place.execution)?;
        execution.actions.iter_mut().rev().find(|action| action.id == place.action)
    }

    pub(super) fn job_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.iter_mut().rev().find(|job| job.id == id)
    }
}

/// One action execution, by ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipelineExecutionId.
    pub execution: String,
    /// The actionExecutionId.
    pub action: String,
}
