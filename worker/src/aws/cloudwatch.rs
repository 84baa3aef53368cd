//! CloudWatch alarms.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::types::AlarmType;

use crate::deploy::view::Alarm;
use coalmine_door::AwsError;

/// `DescribeAlarms` takes at most a hundred names. ECS reads its deployment alarms out of the same nine calls a second,
/// so names of all jobs are put into one call.
pub const ALARMS_PER_CALL: usize = 100;

/// Pages read before a list is called endless; mostly all alarms are on the first.
const PAGES_MAX: usize = 200;

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
        const OPERATION: &str = "cloudwatch DescribeAlarms";
        let mut alarms = Vec::new();
        let mut token = None;
        // A page may hold fewer alarms than were asked for: an alarm on the next one must not be overlooked.
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()))
                // Without types, composite alarms would silently be missing.
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .max_records(100)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of(OPERATION, &error))?;
            token = page.next_token().map(str::to_owned);
            alarms.extend(on_page(&page));
            if token.is_none() {
                return Ok(alarms);
            }
        }
        Err(AwsError::unusable(OPERATION, format!("the list did not end after {PAGES_MAX} pages")))
    }
}

fn on_page(page: &DescribeAlarmsOutput) -> Vec<Alarm> {
    let metric = page.metric_alarms().iter().map(|alarm| Alarm {
        name: alarm.alarm_name().unwrap_or_default().to_owned(),
        state: alarm.state_value().map(|state| state.as_str()).unwrap_or_default().to_owned(),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        dimensions: alarm
            .dimensions()
            .iter()
            .filter_map(|dimension| Some((dimension.name()?.to_owned(), dimension.value()?.to_owned())))
            .collect(),
    });
    let composite = page.composite_alarms().iter().map(|alarm| Alarm {
        name: alarm.alarm_name().unwrap_or_default().to_owned(),
        state: alarm.state_value().map(|state| state.as_str()).unwrap_or_default().to_owned(),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        dimensions: Vec::new(),
    });
    metric.chain(composite).collect()
}
