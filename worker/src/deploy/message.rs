//! What people read in CodePipeline: progress summaries, evidence, failures.

use coalmine_pipeline::limits::{FAILURE_MESSAGE_CHARS, SUMMARY_CHARS, cut};

use crate::deploy::decision::Role;
use crate::deploy::progress::{Cause, CauseKind};

/// How many of a failure's characters the log tail may take.
const LOG_CHARS_MAX: usize = 2_500;

/// A summary, within CodePipeline's limits: never empty, at most 2,048 characters, without control characters.
#[must_use]
pub fn summary(text: &str) -> String {
    let clean = printable(text);
    if clean.is_empty() { "…".to_owned() } else { cut(&clean, SUMMARY_CHARS).into_owned() }
}

/// A failure: what happened, what was done, what to look at; at most 5,000 characters.
#[must_use]
pub fn failure(role: Role, service: &str, cause: &Cause, done: &str, log: Option<&LogTail>) -> String {
    let what = match role {
        Role::Canary => "canary",
        Role::Full => "full service",
    };
    let ends = match cause.kind {
        CauseKind::Tasks | CauseKind::Alarm => "is not well",
        CauseKind::RolledBack => "was rolled back",
        CauseKind::Superseded => "was superseded",
        CauseKind::Stopped => "was stopped",
        CauseKind::TimedOut => "timed out",
        CauseKind::Changed => "changed under the deployment",
        CauseKind::Refused | CauseKind::Denied | CauseKind::Barred | CauseKind::Unusable => {
            // It says by itself what is wrong, a problem a line.
            let end = format!("\nDone: {}.", printable(done));
            let room = FAILURE_MESSAGE_CHARS - end.chars().count().min(FAILURE_MESSAGE_CHARS / 2);
            return cut(&format!("{}{end}", cut(&cause.text, room)), FAILURE_MESSAGE_CHARS).into_owned();
        }
    };
    let mut text = format!("The deployment to {what} {service} {ends}: {}.", printable(&cause.text));
    if !done.is_empty() {
        text = format!("{text}\nDone: {}.", printable(done));
    }
    let log = log.filter(|tail| !tail.lines.is_empty());
    text = format!("{text}\nLook at: {}.", look_at(cause, log));
    if let Some(tail) = log {
        text =
            format!("{text}\nLast log lines of task {} ({}/{}):\n{}", tail.task, tail.group, tail.stream, tail.text());
    }
    cut(&text, FAILURE_MESSAGE_CHARS).into_owned()
}

fn look_at(cause: &Cause, log: Option<&LogTail>) -> &'static str {
    match cause.kind {
        CauseKind::Tasks | CauseKind::RolledBack if log.is_some() => {
            "the log lines below and the stopped tasks in the ECS console"
        }
        CauseKind::Tasks | CauseKind::RolledBack => {
            "the service's events and stopped tasks in the ECS console (kept for an hour)"
        }
        CauseKind::Alarm => "the alarm's metric in CloudWatch",
        CauseKind::Superseded | CauseKind::Changed => "who else deploys to this service (CloudTrail: UpdateService)",
        CauseKind::Refused | CauseKind::Denied | CauseKind::Barred | CauseKind::Unusable => "what is wrong above",
        CauseKind::Stopped => "who stopped it (CloudTrail: StopServiceDeployment)",
        CauseKind::TimedOut => "the service's events in the ECS console; the option deadline sets the time",
    }
}

/// The last lines of a task's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The task's id.
    pub task: String,
    /// The log group.
    pub group: String,
    /// The log stream.
    pub stream: String,
    /// The lines, oldest first.
    pub lines: Vec<String>,
}

impl LogTail {
    /// The newest lines that fit, oldest first, each made printable.
    fn text(&self) -> String {
        let mut kept = Vec::new();
        let mut left = LOG_CHARS_MAX;
        for line in self.lines.iter().rev() {
            let line = printable(line);
            let line = cut(&line, LOG_CHARS_MAX / 5);
            let chars = line.chars().count() + 3;
            if chars > left {
                break;
            }
            left -= chars;
            kept.push(format!("  {line}"));
        }
        kept.reverse();
        kept.join("\n")
    }
}

/// What undoes a canary that is held, for the person who is asked; the end of a summary.
#[must_use]
pub fn undo(pipeline: &str) -> String {
    format!("; to undo it, reject: coalmine-worker reject {} --reason …", printable(pipeline))
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Log lines, reasons and names come from outside. Control characters (line breaks and escape sequences for terminals
/// among them) and what turns the direction of a text or hides in it become spaces; `#{` and `{{`, with which variables
/// and templates begin, are broken up.
#[must_use]
pub fn printable(text: &str) -> String {
    clean(text).trim().to_owned()
}

/// [`printable`], for a text of several lines of our own: they stay lines, with their indentation.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '{' && clean.ends_with(['#', '{']) {
            clean.push(' ');
        }
        clean.push(if c.is_control() || is_invisible(c) { ' ' } else { c });
    }
    clean
}

/// What no reader sees: marks, embeddings and isolates of direction, line and paragraph separators, byte order marks,
/// interlinear annotations, tags. (Joiners stay: words and emoji are written with them.)
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_says_what_happened_what_was_done_and_where_to_look() {
        let cause = Cause {
            kind: CauseKind::Tasks,
            text: "2 tasks stopped for the same reason: container app ended with exit code 3".into(),
            witness: None,
        };
        let log = LogTail {
            task: "t1".into(),
            group: "/ecs/app".into(),
            stream: "app/app/t1".into(),
            lines: vec!["starting".into(), "\u{1b}[31mno database".into()],
        };
        let text =
            failure(Role::Canary, "main/app-canary", &cause, "canary main/app-canary runs app:7 again", Some(&log));
        assert_eq!(
            text,
            "The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: container app ended with exit code 3.\n\
             Done: canary main/app-canary runs app:7 again.\n\
             Look at: the log lines below and the stopped tasks in the ECS console.\n\
             Last log lines of task t1 (/ecs/app/app/app/t1):\n  starting\n  [31mno database"
        );
    }

    #[test]
    fn a_refusal_keeps_its_lines_and_says_what_became_of_the_canary() {
        let text = "Nothing was deployed to full service main/app:\n- one\n- two".to_owned();
        let cause = Cause { kind: CauseKind::Refused, text, witness: None };
        let text = failure(Role::Full, "main/app", &cause, "canary main/app-canary runs app-canary:1 again", None);
        assert_eq!(
            text,
            "Nothing was deployed to full service main/app:\n- one\n- two\nDone: canary main/app-canary runs app-canary:1 again."
        );
    }

    #[test]
    fn what_steers_a_reader_or_a_template_does_not_pass() {
        for (text, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "[31mred [0m"),
            ("a\r\nDone: all is well", "a  Done: all is well"),
            ("user\u{202e}gpj.exe\u{2069}", "user gpj.exe"),
            ("#{canary.Summary} {{x}} {{{", "# {canary.Summary} { {x}} { { {"),
            ("Grüße 👩\u{200d}🚒 e\u{301}", "Grüße 👩\u{200d}🚒 e\u{301}"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
        assert_eq!(printable_lines("one\n  two\u{7}\n"), "one\n  two \n");
    }

    #[test]
    fn a_log_without_lines_is_not_pointed_at() {
        let cause = Cause { kind: CauseKind::Tasks, text: "out of memory".into(), witness: None };
        let text = failure(Role::Canary, "main/app-canary", &cause, "", Some(&LogTail::default()));
        assert!(
            text.ends_with("Look at: the service's events and stopped tasks in the ECS console (kept for an hour).")
        );
    }

    proptest! {
        #[test]
        fn texts_stay_within_the_limits(text in "\\PC{0,6000}", lines in proptest::collection::vec("\\PC{0,900}", 0..40)) {
            let cause = Cause { kind: CauseKind::Alarm, text: text.clone(), witness: None };
            let log = LogTail { lines, ..LogTail::default() };
            prop_assert!(failure(Role::Full, "s", &cause, &text, Some(&log)).chars().count() <= FAILURE_MESSAGE_CHARS);
            let summary = summary(&text);
            prop_assert!((1..=SUMMARY_CHARS).contains(&summary.chars().count()));
        }
    }
}
