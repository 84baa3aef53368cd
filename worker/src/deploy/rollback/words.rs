//! What is said of a rollback: to an operator, in a summary, in a failure.

use coalmine_pipeline::Back;

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
    /// Whether the service left something, or was told to run the target once more.
    pub changed: bool,
}

impl End<'_> {
    /// Where it is without having been told anything.
    fn was_there(&self) -> bool {
        self.state == State::Back && !self.changed
    }

    /// Why, for people; of a service that was there already, that too.
    #[must_use]
    pub fn said(&self) -> String {
        let there = if self.was_there() { "; it was there already: nothing was changed" } else { "" };
        format!("{}{there}", self.reason)
    }
}

/// What is said of the services that were where they were to go, they and their canaries; whoever means an earlier release
/// has to say so. `to` is what was asked for, after `flag`: `app was there already: nothing was changed; --to -2 goes further`.
#[must_use]
pub fn unchanged(ends: &[End<'_>], flag: &str, to: &Back) -> Option<String> {
    let of_pair = |end: &&End<'_>, full: &str| end.course.canary_of.as_deref() == Some(full) && !end.was_there();
    let alone = |end: &&End<'_>| {
        let full = end.course.service.as_str();
        end.was_there() && end.course.canary_of.is_none() && !ends.iter().any(|other| of_pair(&other, full))
    };
    let names: Vec<&str> = ends.iter().filter(alone).map(|end| end.course.service.as_str()).collect();
    let were = match names.as_slice() {
        [] => return None,
        [_] => "was",
        _ => "were",
    };
    let further = match to {
        Back::Steps(steps) => format!("; {flag}{} goes further", Back::Steps(steps.saturating_add(1))),
        Back::Release(_) => String::new(),
    };
    Some(format!("{} {were} there already: nothing was changed{further}", names.join(", ")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::course;

    /// A service that runs its target already.
    fn there(service: &str, canary_of: Option<&str>) -> Course {
        let course = course(service);
        Course { canary_of: canary_of.map(str::to_owned), from: course.to.clone(), ..course }
    }

    #[test]
    fn a_service_that_was_there_already_is_named_with_how_to_go_further() {
        let courses = [there("app-canary", Some("app")), there("app", None), there("search", None)];
        let said = |changed: [bool; 3], to: &str| {
            let end = |(course, changed)| End { course, state: State::Back, reason: "4 of 4 run", tasks: 4, changed };
            let ends: Vec<End<'_>> = courses.iter().zip(changed).map(end).collect();
            unchanged(&ends, "--to ", &to.parse().unwrap())
        };
        for (changed, to, expected) in [
            ([true, true, true], "last", None),
            ([false, false, true], "last", Some("app was there already: nothing was changed; --to -2 goes further")),
            (
                [false, false, false],
                "-2",
                Some("app, search were there already: nothing was changed; --to -3 goes further"),
            ),
            ([true, false, false], "e-2", Some("search was there already: nothing was changed")),
        ] {
            assert_eq!(said(changed, to).as_deref(), expected, "{changed:?} {to}");
        }
        let lost = End { course: &courses[1], state: State::Lost, reason: "gone", tasks: 0, changed: false };
        assert_eq!((unchanged(&[lost], "To=", &Back::LAST), lost.said()), (None, "gone".to_owned()));
        let there = End { state: State::Back, ..lost };
        assert_eq!(there.said(), "gone; it was there already: nothing was changed");
    }
}
