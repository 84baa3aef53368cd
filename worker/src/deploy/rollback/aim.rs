//! What the token keeps of a decided rollback: with it the courses can be made again where the ledger has lost them.

use std::fmt;
use std::str::FromStr;

use crate::deploy::batch::{CANARY_PERCENTS, Percents};
use crate::deploy::revision::Revision;
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::pair::usual_name;

/// Where one service was decided to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The service's name.
    pub service: String,
    /// The full service, where this is the canary beside one.
    pub canary_of: Option<String>,
    /// What it was told to run.
    pub from: Revision,
    /// What it goes back to.
    pub to: Revision,
    /// Its own percents.
    pub own: Percents,
}

/// All of them, as one text: `+ 3 2,shop 3 2,search search-web:7 6 50/200`. A canary begins with `+` and stands before its
/// full service; what is usual is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aims(pub Vec<Aim>);

impl Aims {
    /// What was decided, of courses that each have the canary before its full service.
    #[must_use]
    pub fn of(courses: &[Course]) -> Self {
        let aim = |course: &Course| Aim {
            service: course.service.clone(),
            canary_of: course.canary_of.clone(),
            from: course.from.clone(),
            to: course.to.clone(),
            own: course.own,
        };
        Self(courses.iter().map(aim).collect())
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.canary_of {
            Some(full) if usual_name(full) == self.service => f.write_str("+")?,
            Some(_) => write!(f, "+{}", self.service)?,
            None => f.write_str(&self.service)?,
        }
        for (revision, usual) in [(&self.from, &self.service), (&self.to, &self.from.family)] {
            if revision.family == *usual { write!(f, " {}", revision.number)? } else { write!(f, " {revision}")? }
        }
        match self.own {
            CANARY_PERCENTS => Ok(()),
            Percents { minimum, maximum } => write!(f, " {minimum}/{maximum}"),
        }
    }
}

impl fmt::Display for Aims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, aim) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            aim.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Aims {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut aims: Vec<Aim> = Vec::new();
        // From the end: a canary is named after the full service that follows it.
        let mut full = None;
        for part in text.split(',').rev().filter(|part| !part.is_empty()) {
            let aim = read(part, full).ok_or_else(|| format!("{part} does not say where a service goes"))?;
            full = aim.canary_of.is_none().then(|| aim.service.clone());
            aims.push(aim);
        }
        aims.reverse();
        Ok(Self(aims))
    }
}

fn read(part: &str, full: Option<String>) -> Option<Aim> {
    let mut words = part.split(' ');
    let name = words.next()?;
    let (service, canary_of) = match name.strip_prefix('+') {
        Some("") => (usual_name(full.as_ref()?), full),
        Some(name) => (name.to_owned(), Some(full?)),
        None => (name.to_owned(), None),
    };
    let from = revision(words.next()?, &service)?;
    let to = revision(words.next()?, &from.family)?;
    let own = match words.next() {
        None => CANARY_PERCENTS,
        Some(own) => {
            let (minimum, maximum) = own.split_once('/')?;
            Percents { minimum: minimum.parse().ok()?, maximum: maximum.parse().ok()? }
        }
    };
    words.next().is_none().then_some(Aim { service, canary_of, from, to, own })
}

fn revision(word: &str, usual: &str) -> Option<Revision> {
    if word.contains(':') { word.parse().ok() } else { format!("{usual}:{word}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim(service: &str, canary_of: Option<&str>, (from, to): (&str, &str), own: (u32, u32)) -> Aim {
        Aim {
            service: service.to_owned(),
            canary_of: canary_of.map(str::to_owned),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            own: Percents { minimum: own.0, maximum: own.1 },
        }
    }

    #[test]
    fn aims_come_back_from_a_short_text() {
        let aims = Aims(vec![
            aim("shop-canary", Some("shop"), ("shop-canary:3", "shop-canary:2"), (100, 200)),
            aim("shop", None, ("shop:3", "shop:2"), (100, 200)),
            aim("probe", Some("search"), ("probe:9", "probe-2:1"), (50, 150)),
            aim("search", None, ("search-web:7", "search-web:6"), (50, 200)),
            aim("alone", None, ("alone:1", "alone:1"), (100, 200)),
        ]);
        let text = aims.to_string();
        assert_eq!(text, "+ 3 2,shop 3 2,+probe 9 probe-2:1 50/150,search search-web:7 6 50/200,alone 1 1");
        assert_eq!(text.parse(), Ok(aims));
        assert_eq!("".parse(), Ok(Aims::default()));
        for wrong in ["shop", "shop 3", "shop 3 x", "+ 3 2", "+probe 1 1,+ 1 1", "shop 3 2 50", "shop 3 2 50/200 1"] {
            assert!(wrong.parse::<Aims>().is_err(), "{wrong}");
        }
    }
}
