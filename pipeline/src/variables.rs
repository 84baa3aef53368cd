//! The output variables of the actions, which later actions read as `#{namespace.Name}`.
//!
//! A pipeline shows them to the people who approve (`#{canary.Summary}`) and hands them to other tools. CodePipeline
//! takes them with an action's last result only, all of them within
//! [`OUTPUT_VARIABLES_BYTES`](crate::limits::OUTPUT_VARIABLES_BYTES).

/// An output variable: its name (CodePipeline: `[A-Za-z0-9@_-]+`) and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputVariable {
    /// The name after the namespace.
    pub name: &'static str,
    /// What the value says, for the documentation.
    pub description: &'static str,
}

/// The release: the id of the pipeline execution that carries it.
pub const RELEASE_ID: OutputVariable =
    OutputVariable { name: "ReleaseId", description: "the release: the id of its pipeline execution" };

/// The task definition that now runs.
pub const TASK_DEFINITION: OutputVariable =
    OutputVariable { name: "TaskDefinition", description: "ARN of the task definition that the service now runs" };

/// The task definition that ran before.
pub const PREVIOUS_TASK_DEFINITION: OutputVariable = OutputVariable {
    name: "PreviousTaskDefinition",
    description: "ARN of the task definition that the service ran before",
};

/// The digests of the release.
pub const IMAGE_DIGESTS: OutputVariable = OutputVariable {
    name: "ImageDigests",
    description: "digests of the deployed images as `container=sha256:…`, separated by commas",
};

/// The outcome in one or two sentences.
pub const SUMMARY: OutputVariable = OutputVariable {
    name: "Summary",
    description: "what was deployed, how it was judged and for how long, for the person who approves",
};

/// The variables of an action that deploys, in the order in which they are documented.
pub const DEPLOYMENT: &[OutputVariable] =
    &[RELEASE_ID, TASK_DEFINITION, PREVIOUS_TASK_DEFINITION, IMAGE_DIGESTS, SUMMARY];

/// What was returned, of a rollback.
pub const ROLLED_BACK: OutputVariable = OutputVariable {
    name: "Summary",
    description: "which services were returned to which release, and how many tasks were counted",
};

/// The variables of an action that rolls back.
pub const ROLLBACK: &[OutputVariable] = &[ROLLED_BACK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_unique() {
        for (index, variable) in DEPLOYMENT.iter().enumerate() {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'_' | b'-');
            assert!(variable.name.bytes().all(legal), "{}", variable.name);
            assert!(!DEPLOYMENT[..index].iter().any(|other| other.name == variable.name), "{}", variable.name);
        }
    }
}
