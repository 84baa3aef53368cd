//! EventBridge: what happened to releases, for whoever has a rule for it.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use coalmine_door::AwsError;

use crate::deploy::happening::Event;

/// Who tells it.
pub const SOURCE: &str = "coalmine";
/// What rules match.
pub const DETAIL_TYPE: &str = "Coalmine Release State Change";

/// One event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    /// Its name or ARN.
    name: String,
}

impl Bus {
    /// A bus by its name or ARN.
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// Puts one event.
    ///
    /// # Errors
    /// When the call fails, or EventBridge did not take the event.
    pub async fn put(&self, event: &Event) -> Result<(), AwsError> {
        const OPERATION: &str = "events PutEvents";
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(DETAIL_TYPE)
            .detail(event.json())
            .build();
        let sent = self.client.put_events().entries(entry).send().await;
        let output = sent.map_err(|error| AwsError::of(OPERATION, &error))?;
        if output.failed_entry_count() == 0 {
            return Ok(());
        }
        let refused = output.entries().iter().find_map(|entry| entry.error_code()).unwrap_or("no reason given");
        Err(AwsError::unusable(OPERATION, format!("the event was not taken: {refused}")))
    }
}
