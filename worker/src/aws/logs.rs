//! CloudWatch Logs: the last lines of a task.

use aws_sdk_cloudwatchlogs::Client;

use crate::deploy::message::LogTail;
use coalmine_door::AwsError;

/// How many lines are read. The failure message has room for fewer long ones.
const LINES: i32 = 30;

/// One account's logs in one region.
#[derive(Clone, Debug)]
pub struct Logs {
    client: Client,
}

impl Logs {
    /// An adapter on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The last lines of a container of a task that logs through `awslogs`: its stream is `prefix/container/task`.
    ///
    /// # Errors
    /// When the call fails, or there is no such stream (a container that never started has none).
    pub async fn tail(&self, group: &str, prefix: &str, container: &str, task: &str) -> Result<LogTail, AwsError> {
        let stream = format!("{prefix}/{container}/{task}");
        let output = self
            .client
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(&stream)
            .start_from_head(false)
            .limit(LINES)
            .send()
            .await
            .map_err(|error| AwsError::of("logs GetLogEvents", &error))?;
        let lines = output.events().iter().filter_map(|event| event.message().map(str::to_owned)).collect();
        Ok(LogTail { task: task.to_owned(), group: group.to_owned(), stream, lines })
    }
}
