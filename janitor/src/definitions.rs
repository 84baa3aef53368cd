//! Observing: task definitions. Which of them are needed shows only as they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use coalmine_pipeline::Home;
use futures_util::{StreamExt, future, stream};

use crate::aws::Place;
use crate::in_use::{Arn, Content, Definition, InUse, Source, Step, Use, Used, family_and_revision};
use crate::memory::Memory;
use crate::scan::{AT_ONCE, Scan, lock, words};
use crate::sources::Ran;

impl Scan<'_> {
    /// Describes recent revisions before it is known what else refers to them, but for the newest two of each family: most
    /// of what runs is among these, and its tasks show as much. What fails here is asked for again, and told, in [`Scan::complete`].
    pub(crate) async fn describe_ahead(&self, place: &Place, listed: &[Arn]) {
        let mut in_use = InUse::default();
        for arn in listed {
            let definition = self.definition(arn, true);
            in_use.definitions.extend(definition.map(|definition| (arn.clone(), definition)));
        }
        let mut newest: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
        for Definition { family, revision, .. } in in_use.definitions.values() {
            let [first, second] = newest.entry(family).or_default();
            *second = (*revision).min(*first).max(*second);
            *first = (*revision).max(*first);
        }
        let is_newest = |one: &&Definition| newest.get(&*one.family).is_some_and(|two| two.contains(&one.revision));
        let by_arn = in_use.definitions.iter().filter(|(_, definition)| is_newest(definition));
        let newest: BTreeSet<Arn> = by_arn.map(|(arn, _)| arn.clone()).collect();
        let nothing = Memory::default();
        self.describe(&mut in_use, &nothing, |arn| {
            (!newest.contains(arn) && home(arn).as_ref() == Some(&place.home)).then_some(place)
        })
        .await;
    }

    /// The task definitions that services ran by the ledger. A release names some containers; a rollback starts all of them.
    /// The ledger says which service it was, and the services that were listed say where that is: what does not exist any more
    /// is not rolled back.
    pub(crate) fn returned_to(&self, ran: &[Ran]) -> Vec<Use> {
        let services = self.places.iter().flat_map(|place| self.cache.services(&place.home));
        let mut arns: BTreeMap<(Arc<str>, Arc<str>), Vec<String>> = BTreeMap::new();
        for service in services {
            arns.entry((service.cluster, service.name)).or_default().push(service.arn);
        }
        let uses = ran.iter().flat_map(|Ran { entry, revision }| {
            let service: (Arc<str>, Arc<str>) = (Arc::from(entry.cluster.as_str()), Arc::from(entry.service.as_str()));
            let release = Step::Release(entry.release.as_str().into());
            let by = vec![release, Step::Service(service.0.clone(), service.1.clone())];
            arns.get(&service).into_iter().flatten().map(move |arn| {
                let home: Vec<&str> = arn.splitn(6, ':').take(5).collect();
                let definition = format!("{}:task-definition/{revision}", home.join(":"));
                Use { by: by.clone(), of: Used::Definition(definition.into()) }
            })
        });
        uses.collect()
    }

    /// Asks which revisions are meant where none is named. It is asked in each look, and nothing is kept under the name of
    /// a family: unlike a revision, it means something else after the next registration.
    pub(crate) async fn settle_families(&self, in_use: &mut InUse) {
        let failed: Mutex<BTreeMap<&Home, String>> = Mutex::default();
        let families = in_use.families().into_iter().filter_map(|family| Some((self.place_of(&family)?, family)));
        let mut asking = stream::iter(families.collect::<Vec<_>>())
            // Where one cannot be asked for, the others are not asked for.
            .filter(|(place, _)| future::ready(!lock(&failed).contains_key(&place.home)))
            .map(|(place, family)| async move {
                let newest = place.newest_definition(&family).await;
                (place, family, newest)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((place, family, newest)) = asking.next().await {
            match newest {
                Ok(newest) => in_use.settle(&family, newest.and_then(|(arn, content)| self.described(arn, content))),
                Err(problem) => drop(lock(&failed).entry(&place.home).or_insert_with(|| words(&problem))),
            }
        }
        let failed = lock(&failed);
        let reports =
            failed.iter().map(|(home, why)| self.report(Source::TaskDefinitions, Some(home), Err(why.clone())));
        in_use.sources.extend(reports);
    }

    /// Reads the task definitions that something refers to, until nothing is missing.
    pub(crate) async fn complete(&self, in_use: &mut InUse) {
        self.progress.begin("task definitions");
        let remembered = self.memory.active.keys().cloned();
        let referred = in_use.uses.iter().filter_map(|one| match &one.of {
            Used::Definition(arn) => Some(arn.clone()),
            _ => None,
        });
        for arn in referred.chain(remembered).collect::<BTreeSet<Arn>>() {
            if !in_use.definitions.contains_key(&arn)
                && let Some(definition) = self.definition(&arn, false)
            {
                in_use.definitions.insert(arn, definition);
            }
        }
        let mut failed = self.describe(in_use, self.memory, |arn| self.place_of(arn)).await;
        if let Some(again) = self.list_again(in_use, &mut failed).await {
            for (arn, definition) in &mut in_use.definitions {
                definition.is_active =
                    definition.is_active && (definition.content != Content::Gone || again.contains(arn));
            }
            failed.extend(self.describe(in_use, self.memory, |arn| self.place_of(arn)).await);
        }
        for (home, why) in failed {
            in_use.sources.push(self.report(Source::TaskDefinitions, Some(&home), Err(why)));
        }
    }

    /// Lists once more what is ACTIVE, in every place where something was listed and then said to be gone: what was deleted
    /// in between is not listed any more. Where it still is, a replica of ECS's lags behind, and it stays unread.
    async fn list_again(&self, in_use: &InUse, failed: &mut BTreeMap<Home, String>) -> Option<BTreeSet<Arn>> {
        let denied = in_use.definitions.iter().filter(|(_, one)| one.is_active && one.content == Content::Gone);
        let lists: BTreeSet<(Home, bool)> =
            denied.filter_map(|(arn, _)| Some((self.place_of(arn)?.home.clone(), is_daemons(arn)))).collect();
        let mut again: BTreeSet<Arn> = BTreeSet::new();
        for (home, of_daemons) in &lists {
            let Some(place) = self.places.iter().find(|place| place.home == *home) else { continue };
            let listed =
                if *of_daemons { place.active_daemon_definitions().await } else { place.active_definitions().await };
            match listed {
                Ok(listed) => again.extend(listed),
                Err(problem) => drop(failed.entry(home.clone()).or_insert_with(|| words(&problem))),
            }
        }
        (!lists.is_empty()).then_some(again)
    }

    /// Describes the task definitions that are needed, where `place` says, until nothing is missing; what went wrong.
    async fn describe<'p>(
        &self,
        in_use: &mut InUse,
        memory: &Memory,
        place: impl Fn(&Arn) -> Option<&'p Place>,
    ) -> BTreeMap<Home, String> {
        let now = self.clock.now();
        let mut failed: BTreeMap<Home, String> = BTreeMap::new();
        let mut asked: BTreeSet<Arn> = BTreeSet::new();
        loop {
            let unread = in_use.unread(&self.policy.recent, memory, now);
            let unread: Vec<(Arn, &Place)> = unread
                .into_iter()
                // What names no revision was asked for before: it stays unread where that failed.
                .filter(|arn| family_and_revision(arn).is_some())
                .filter_map(|arn| place(&arn).map(|place| (arn, place)))
                .filter(|(arn, place)| !failed.contains_key(&place.home) && asked.insert(arn.clone()))
                .collect();
            if unread.is_empty() {
                return failed;
            }
            self.progress.expect(unread.len());
            let refused: Mutex<BTreeSet<&Home>> = Mutex::default();
            let has_refused = |place: &Place| lock(&refused).contains(&place.home);
            let mut reading = stream::iter(unread)
                // Where one cannot be read, the others are not asked for.
                .filter(|(_, place)| future::ready(!has_refused(place)))
                .map(|(arn, place)| async move {
                    let read = if is_daemons(&arn) {
                        place.daemon_definition(&arn).await
                    } else {
                        place.definition(&arn).await
                    };
                    self.progress.step();
                    (arn, place, read)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((arn, place, read)) = reading.next().await {
                match read {
                    Ok(content) => {
                        self.cache.keep_definition(&arn, &content);
                        if let Some(definition) = in_use.definitions.get_mut(&arn) {
                            definition.content = content;
                        }
                    }
                    Err(problem) => {
                        lock(&refused).insert(&place.home);
                        failed.entry(place.home.clone()).or_insert_with(|| words(&problem));
                    }
                }
            }
        }
    }

    fn place_of(&self, arn: &str) -> Option<&Place> {
        let home = home(arn)?;
        self.places.iter().find(|place| place.home == home)
    }

    /// A task definition that is not described yet, or was in an earlier run.
    pub(crate) fn definition(&self, arn: &Arn, is_active: bool) -> Option<Definition> {
        let (family, revision) = family_and_revision(arn)?;
        let content = self.cache.definition(arn).unwrap_or(Content::NotRead);
        Some(Definition { family: Arc::from(family), revision, is_active, content })
    }

    /// A task definition that was described a moment ago, ACTIVE or not.
    fn described(&self, arn: Arn, content: Content) -> Option<(Arn, Definition)> {
        self.cache.keep_definition(&arn, &content);
        let definition = self.definition(&arn, false)?;
        Some((arn, Definition { content, ..definition }))
    }
}

fn is_daemons(arn: &str) -> bool {
    arn.contains(":daemon-task-definition/")
}

/// Account and Region of an ARN.
fn home(arn: &str) -> Option<Home> {
    let mut parts = arn.split(':').skip(3);
    Some(Home { region: parts.next()?.to_owned(), account: parts.next()?.to_owned() })
}
