//! CloudWatch alarms.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::AlarmType;

use crate::deploy::view::Alarm;
use coalmine_door::AwsError;

/// `DescribeAlarms` takes at most a hundred names. ECS reads its deployment alarms out of the same nine calls a second,
/// so names of all jobs are put into one call.
pub const ALARMS_PER_CALL: usize = 100;

/// One account's alarms in one region.
#[derive(Clone, Debug)]
pub struct Alarms {
    client: Client,
}

impl Alarms {
    /// An adapter on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Describes at most a hundred alarms, metric and composite ones. Those that do not exist are not in the answer.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn describe(&self, names: &[String]) -> Result<Vec<Alarm>, AwsError> {
        let output = self
            .client
            .describe_alarms()
            .set_alarm_names(Some(names.to_vec()))
            // Without types, composite alarms would silently be missing.
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .max_records(100)
            .send()
            .await
            .map_err(|error| AwsError::of("cloudwatch DescribeAlarms", &error))?;
        let metric = output.metric_alarms().iter().map(|alarm| Alarm {
            name: alarm.alarm_name().unwrap_or_default().to_owned(),
            state: alarm.state_value().map(|state| state.as_str()).unwrap_or_default().to_owned(),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            dimensions: alarm
                .dimensions()
                .iter()
                .filter_map(|dimension| Some((dimension.name()?.to_owned(), dimension.value()?.to_owned())))
                .collect(),
        });
        let composite = output.composite_alarms().iter().map(|alarm| Alarm {
            name: alarm.alarm_name().unwrap_or_default().to_owned(),
            state: alarm.state_value().map(|state| state.as_str()).unwrap_or_default().to_owned(),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            dimensions: Vec::new(),
        });
        Ok(metric.chain(composite).collect())
    }
}
