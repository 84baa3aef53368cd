//! What is said of a rollback: to an operator, in a summary, in a failure.

use crate::deploy::message::counted;
use crate::deploy::rollback::course::Course;

/// Where one service stands at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not told anything.
    Untouched,
    /// It is on its way.
    Going,
    /// Every task runs the target.
    Back,
    /// It does not come back by this rollback.
    Lost,
}

impl State {
    /// The word that tables and JSON use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Going => "going back",
            Self::Back => "back",
            Self::Lost => "not back",
        }
    }
}

/// One service at the end: its course, where it stands, and why.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The course.
    pub course: &'a Course,
    /// Where it stands.
    pub state: State,
    /// Why, for people.
    pub reason: &'a str,
    /// How many tasks were counted, where all were.
    pub tasks: u32,
}

/// `3 of 4 services are back at …: main/app app:2 (10 tasks), …`
#[must_use]
pub fn summary(ends: &[End<'_>]) -> String {
    let back = ends.iter().filter(|end| end.state == State::Back);
    let list: Vec<String> =
        back.map(|end| format!("{} {} ({})", end.course.service, end.course.to, counted(end.tasks, "task"))).collect();
    let all = u32::try_from(ends.len()).unwrap_or(u32::MAX);
    let opening = if list.len() == ends.len() {
        format!("{} back", if all == 1 { "1 service is".to_owned() } else { format!("{all} services are") })
    } else {
        format!("{} of {} back", list.len(), counted(all, "service"))
    };
    if list.is_empty() { opening } else { format!("{opening}: {}", list.join(", ")) }
}

/// The failure: which services are where, those that are not back first.
#[must_use]
pub fn failure(ends: &[End<'_>]) -> String {
    let (back, others): (Vec<&End<'_>>, Vec<&End<'_>>) = ends.iter().partition(|end| end.state == State::Back);
    let mut text =
        format!("{} of {} not back:", others.len(), counted(ends.len().try_into().unwrap_or(u32::MAX), "service"));
    for end in others {
        let Course { from, to, .. } = end.course;
        text.push_str(&format!("\n- {} ({from} to {to}), {}: {}", end.course.label(), end.state.word(), end.reason));
    }
    if !back.is_empty() {
        let list: Vec<String> = back.iter().map(|end| format!("{} {}", end.course.service, end.course.to)).collect();
        text.push_str(&format!("\nBack: {}", list.join(", ")));
    }
    text.push_str("\nECS goes on with what it was told. Run the rollback again: it goes on from where things are.");
    text
}
