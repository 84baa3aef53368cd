//! AWS's limits that shape what Coalmine writes, each with its story, and [`cut`], which keeps texts within them.
//!
//! Lengths in characters are Unicode scalar values, as AWS's models count them.

use std::borrow::Cow;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

/// Characters of a continuation token (CodePipeline: `ContinuationToken` 1–2,048). Everything a turn hands to the next
/// one has to fit.
pub const CONTINUATION_TOKEN_CHARS: usize = 2_048;

/// Characters of the summary that the console shows beside a running action (CodePipeline: `ExecutionSummary` 1–2,048).
/// An empty one is refused.
pub const SUMMARY_CHARS: usize = 2_048;

/// Characters of a failure message (CodePipeline: `Message` 1–5,000).
pub const FAILURE_MESSAGE_CHARS: usize = 5_000;

/// Characters of the id under which the console knows the work of an external system (CodePipeline: `ExecutionId`
/// 1–1,500).
pub const EXTERNAL_EXECUTION_ID_CHARS: usize = 1_500;

/// Characters of one configuration value as it stands in a pipeline definition (CodePipeline:
/// `ActionConfigurationValue` 1–1,000). The text of a `#{namespace.variable}` counts; what it resolves to does not, so a
/// job may carry a longer value: see [`RESOLVED_CONFIGURATION_BYTES`].
pub const CONFIGURATION_VALUE_CHARS: usize = 1_000;

/// Bytes of a whole resolved configuration of one action (CodePipeline quota: 100 KB).
pub const RESOLVED_CONFIGURATION_BYTES: usize = 100 * 1_024;

/// Characters of the value of the queryable property (CodePipeline: 20 in a pipeline that uses the action type,
/// although `PollForJobs` itself would take 50).
pub const QUERYABLE_VALUE_CHARS: usize = 20;

/// Properties of one action type (CodePipeline: `ActionConfigurationPropertyList` ≤ 10).
pub const PROPERTIES: usize = 10;

/// Characters of a property's name (CodePipeline: `ActionConfigurationKey` 1–50).
pub const PROPERTY_NAME_CHARS: usize = 50;

/// Characters of a property's description (CodePipeline: `Description` 1–160).
pub const PROPERTY_DESCRIPTION_CHARS: usize = 160;

/// Characters of a provider (CodePipeline: the model says 35, the quota page 25; the smaller one is safe).
pub const PROVIDER_CHARS: usize = 25;

/// Characters of an action type's version (CodePipeline: `Version` 1–9).
pub const VERSION_CHARS: usize = 9;

/// Characters of a URL template in an action type's settings (CodePipeline: `UrlTemplate` 1–2,048).
pub const URL_TEMPLATE_CHARS: usize = 2_048;

/// Artifacts that an action type takes or gives (CodePipeline: minimum and maximum count 0–5).
pub const ARTIFACTS: u32 = 5;

/// Bytes of all output variables of one action, names and values (CodePipeline quota: 122,880). Beyond it the success
/// result is refused with `OutputVariablesSizeExceededException`.
pub const OUTPUT_VARIABLES_BYTES: usize = 122_880;

/// Bytes of an `imagedefinitions.json` (CodePipeline quota: 100 KB). Coalmine holds `imageDetail.json` to the same.
pub const IMAGE_DEFINITIONS_BYTES: usize = 100 * 1_024;

/// Characters of the summary a person gives with an approval (CodePipeline: `ApprovalSummary` 0–512).
pub const APPROVAL_SUMMARY_CHARS: usize = 512;

/// After this time CodePipeline fails a custom action; it is fixed, `timeoutInMinutes` is for manual approvals only.
pub const CUSTOM_ACTION_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// The longest deadline an action may be given: an hour before CodePipeline's own timeout, after which a result is no
/// longer taken. In that hour the worker undoes what it did and says why.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(23 * 3_600);

/// Alarms in one configuration (CloudWatch: `DescribeAlarms` takes ≤ 100 names, so that one call sees all of them).
pub const ALARMS: usize = 100;

/// Characters of an alarm's name (CloudWatch: `AlarmName` 1–255).
pub const ALARM_NAME_CHARS: usize = 255;

/// Characters of the name of a cluster, service, family or container (ECS: 255, letters, digits, `-` and `_`).
pub const ECS_NAME_CHARS: usize = 255;

/// Tasks of one service (ECS quota: 5,000).
pub const SERVICE_TASKS: u32 = 5_000;

/// Characters of an image reference before its digest (ECS: container definition, `image`).
pub const IMAGE_CHARS: usize = 255;

/// Shortens `text` to at most `max_chars` characters, the last of them an ellipsis where something was left out.
///
/// Cuts between graphemes: an accent stays on its letter, a flag in one piece. With `max_chars` 0 nothing remains.
pub fn cut(text: &str, max_chars: usize) -> Cow<'_, str> {
    if text.len() <= max_chars || text.chars().nth(max_chars).is_none() {
        return Cow::Borrowed(text);
    }
    let Some(kept) = max_chars.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut chars = 0;
    let whole = text.graphemes(true).take_while(|grapheme| {
        chars += grapheme.chars().count();
        chars <= kept
    });
    Cow::Owned(whole.chain(["…"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts_between_characters() {
        for (text, max_chars, expected) in [
            ("", 0, ""),
            ("canary", 6, "canary"),
            ("canary", 5, "cana…"),
            ("canary", 1, "…"),
            ("canary", 0, ""),
            ("Grüße", 5, "Grüße"),
            ("Grüße", 4, "Grü…"),
            ("Gru\u{308}ße", 5, "Gru\u{308}…"),
            ("Gru\u{308}ße", 4, "Gr…"),
            ("\u{1f1e9}\u{1f1ea}\u{1f1eb}\u{1f1f7}!", 4, "\u{1f1e9}\u{1f1ea}…"),
        ] {
            assert_eq!(cut(text, max_chars), expected, "{text:?} to {max_chars}");
        }
    }

    proptest! {
        #[test]
        fn never_exceeds_the_limit(text in any::<String>(), max_chars in 0_usize..40) {
            let short = cut(&text, max_chars);
            prop_assert!(short.chars().count() <= max_chars);
            prop_assert!(text.starts_with(short.trim_end_matches('…')) || text == short);
        }
    }
}
