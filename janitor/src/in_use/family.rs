//! References to a task definition without a revision: they mean the newest ACTIVE one of its family.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Arn, Content, Definition, InUse, Used};

/// Family and revision of a task definition's ARN; `None` where it names none, as `…:task-definition/nightly` does.
pub fn family_and_revision(arn: &str) -> Option<(&str, u32)> {
    let (_, name) = arn.rsplit_once('/')?;
    let (family, revision) = name.rsplit_once(':')?;
    Some((family, revision.parse().ok()?))
}

impl InUse {
    /// The ARNs without a revision that something refers to.
    pub fn families(&self) -> BTreeSet<Arn> {
        let named = self.uses.iter().filter_map(|one| match &one.of {
            Used::Definition(arn) => Some(arn),
            _ => None,
        });
        named.filter(|arn| family_and_revision(arn).is_none()).cloned().collect()
    }

    /// Lets what refers to a family refer to its newest ACTIVE revision. Without one nothing can start from the family: the
    /// reference leads to nothing. Where one is listed as ACTIVE all the same, it is not known what is meant.
    pub fn settle(&mut self, family: &Arn, newest: Option<(Arn, Definition)>) {
        let Some((newest, described)) = newest else {
            let name = family.rsplit('/').next().unwrap_or(family);
            let revisions = self
                .definitions
                .iter()
                .filter(|(arn, _)| arn.strip_prefix(&**family).is_some_and(|revision| revision.starts_with(':')));
            let is_listed = revisions.into_iter().any(|(_, definition)| definition.is_active);
            let content = if is_listed { Content::NotRead } else { Content::Gone };
            let gone = Definition { family: Arc::from(name), revision: 0, is_active: false, content };
            self.definitions.insert(family.clone(), gone);
            return;
        };
        let content = described.content.clone();
        self.definitions.entry(newest.clone()).or_insert(described).content = content;
        for one in &mut self.uses {
            if one.of == Used::Definition(family.clone()) {
                one.of = Used::Definition(newest.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_use::{Step, Use};
    use crate::memory::Memory;
    use crate::policy::Policy;

    const FAMILY: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/nightly";

    fn scheduled() -> InUse {
        let by = vec![Step::Schedule("default".into(), "nightly".into())];
        let uses = [FAMILY, "arn:aws:ecs:eu-west-1:123456789012:task-definition/other:3"];
        let uses = uses.map(|arn| Use { by: by.clone(), of: Used::Definition(arn.into()) });
        InUse { uses: uses.into(), ..InUse::default() }
    }

    fn roots(in_use: &InUse) -> (Vec<String>, Vec<String>, Vec<String>) {
        let (policy, memory) = (Policy::parse("").unwrap(), Memory::default());
        let roots = in_use.roots(&policy.recent, &memory, "2026-11-20T12:00:00Z".parse().unwrap());
        let of = |missing: &[crate::in_use::Missing]| missing.iter().map(|one| one.arn.to_string()).collect();
        (roots.roots.iter().map(ToString::to_string).collect(), of(&roots.unread), of(&roots.gone))
    }

    #[test]
    fn only_what_names_no_revision_is_a_family() {
        assert_eq!(scheduled().families(), [Arn::from(FAMILY)].into());
    }

    #[test]
    fn a_family_is_its_newest_revision() {
        let mut in_use = scheduled();
        let content = Content::Read { registered: None, containers: [("job".into(), "app:v1".into())].into() };
        let newest = Definition { family: "nightly".into(), revision: 7, is_active: false, content };
        in_use.settle(&FAMILY.into(), Some((format!("{FAMILY}:7").into(), newest)));
        let (kept, unread, gone) = roots(&in_use);
        assert_eq!(kept, ["schedule default/nightly → task definition nightly:7 → container job → app:v1"]);
        assert_eq!((unread.len(), gone.len(), in_use.families().len()), (1, 0, 0), "{unread:?}");
        assert!(!in_use.definitions.contains_key(FAMILY));
    }

    #[test]
    fn a_family_that_is_denied_though_a_revision_of_it_is_listed_is_not_known() {
        let mut in_use = scheduled();
        let active = Definition { family: "nightly".into(), revision: 7, is_active: true, content: Content::NotRead };
        in_use.definitions.insert(format!("{FAMILY}:7").into(), active);
        in_use.settle(&FAMILY.into(), None);
        let (_, unread, gone) = roots(&in_use);
        assert!(unread.contains(&FAMILY.to_owned()) && gone.is_empty(), "{unread:?} {gone:?}");
    }

    #[test]
    fn a_family_without_an_active_revision_leads_to_nothing() {
        let mut in_use = scheduled();
        in_use.settle(&FAMILY.into(), None);
        let (kept, unread, gone) = roots(&in_use);
        assert_eq!((kept.len(), unread.len(), gone), (0, 1, vec![FAMILY.to_owned()]));
    }
}
