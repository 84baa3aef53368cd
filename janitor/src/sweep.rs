//! Acting: carrying a plan out, one repository after the other, each after a last look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_pipeline::Digest;
use tracing::{info, warn};

use crate::in_use::{InUse, Reach};
use crate::inventory::{Image, Images, Manifests, Names, Replication};
use crate::memory::Memory;
use crate::plan::{Answer, Fresh, Outcome, PlanFile, RepositoryPlan, Sweep, recheck};
use crate::scan::{Scan, words};

/// How long a look at what refers to images is good for: so many times as long as it took, within these bounds. It keeps
/// a small account's look seconds old, and a large one's from taking more than a fifth of the time, and of AWS's rates.
const FRESH_TIMES: u32 = 4;
const FRESH_MIN: Duration = Duration::from_secs(1);
/// The longest that a look is good for beyond the time that it took.
const FRESH_MAX: Duration = Duration::from_secs(30);
/// No deletion begins later than this after its image was looked at, or after the look was good: what is left waits for
/// another run.
const DELETE_FOR: TimeDelta = TimeDelta::seconds(15);
/// A repository that takes longer to list is looked at again: else little of that time would be left.
const LISTING_MAX: TimeDelta = TimeDelta::seconds(5);
/// So many images are looked at again: about what can be deleted in the time. The others wait for another run.
const AGAIN_MAX: usize = 5_000;
/// What the others are told.
const NOT_AGAIN: &str =
    "its repository takes long to list, so there was no time to look at it again: the next run deletes it";
/// Rounds of deleting and confirming in one repository: indexes in indexes are not nested deeper.
const ROUNDS_MAX: usize = 1_000;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Swept {
    /// By repository: every planned image and what became of it.
    pub outcomes: BTreeMap<String, Vec<(Digest, Outcome)>>,
    /// Why it stopped before the end, if it did: nothing was deleted after that.
    pub stopped: Option<String>,
}

/// A look at everything that refers to images.
struct Look {
    in_use: InUse,
    replication: Vec<Replication>,
    good_until: Time,
}

/// A repository as it is, and when its planned images were looked at.
struct Listing {
    images: Images,
    manifests: Manifests,
    at: Time,
    /// Those for which there was no time when they were looked at again.
    not_again: BTreeSet<Digest>,
}

impl Scan<'_> {
    /// Carries a plan out that agrees with what was planned a moment ago.
    pub async fn sweep(&self, plan: &PlanFile, memory: &Memory) -> Swept {
        let mut swept = Swept::default();
        let mut look: Option<Look> = None;
        self.progress.begin("deleting");
        self.progress.expect(plan.repositories.iter().filter(|one| !one.deletions.is_empty()).count());
        for repository in plan.repositories.iter().filter(|repository| !repository.deletions.is_empty()) {
            match self.repository(repository, memory, &mut look).await {
                Ok(outcomes) => drop(swept.outcomes.insert(repository.name.clone(), outcomes)),
                Err(why) => {
                    warn!(repository = repository.name, why, "the sweep stops: nothing more is deleted");
                    swept.stopped = Some(why);
                    break;
                }
            }
            self.progress.step();
        }
        swept
    }

    async fn repository(
        &self,
        plan: &RepositoryPlan,
        memory: &Memory,
        last: &mut Option<Look>,
    ) -> Result<Vec<(Digest, Outcome)>, String> {
        // Tags are read after the references that name them: one that is moved in between is seen where it is now.
        let mut look = self.look(last).await?;
        let mut listing = self.list(plan).await.map_err(|problem| words(&problem))?;
        if self.clock.now() - listing.at.min(look.good_until) > LISTING_MAX {
            look = self.look(last).await?;
            self.look_again(plan, &mut listing).await.map_err(|problem| words(&problem))?;
        }
        let roots = look.in_use.roots(&self.policy.recent, memory, self.clock.now());
        if let Some(missing) = roots.unread.first() {
            return Err(format!("a task definition was not read: {missing}"));
        }
        let fresh = Fresh {
            policy: self.policy,
            registry: &self.registry.home,
            replication: &look.replication,
            images: &listing.images,
            manifests: &listing.manifests,
            roots: &roots,
        };
        let mut answers = recheck(plan, &fresh);
        for (digest, answer) in &mut answers {
            if *answer == Answer::Go && listing.not_again.contains(digest) {
                *answer = Answer::Keep { why: NOT_AGAIN.to_owned() };
            }
            if let Answer::Keep { why } = answer {
                info!(repository = plan.name, digest = %digest, why, "an image stays after the last look");
            }
        }
        let until = listing.at.min(look.good_until) + DELETE_FOR;
        Ok(self.delete(plan, &answers, listing.images.len(), until).await)
    }

    /// What refers to images, read again unless that was done a moment ago.
    async fn look<'l>(&self, last: &'l mut Option<Look>) -> Result<&'l Look, String> {
        let now = self.clock.now();
        if last.as_ref().is_none_or(|look| now >= look.good_until) {
            let replication = self.registry.replication().await.map_err(|problem| words(&problem))?;
            let in_use = self.in_use(true).await;
            let incomplete = in_use.sources.iter().find(|report| matches!(report.reach, Reach::Incomplete { .. }));
            if let Some(report) = incomplete {
                return Err(report.to_string());
            }
            let took = (self.clock.now() - now).to_std().unwrap_or_default();
            let good_for = took + (took * FRESH_TIMES).clamp(FRESH_MIN, FRESH_MAX);
            *last = Some(Look { in_use, replication, good_until: now + good_for });
        }
        last.as_ref().ok_or_else(|| String::from("nothing was read"))
    }

    /// All images of a repository.
    async fn list(&self, plan: &RepositoryPlan) -> Result<Listing, AwsError> {
        let at = self.clock.now();
        let images = self.registry.images(&plan.name).await?.unwrap_or_default();
        let manifests = self.manifests(plan, &images).await?;
        Ok(Listing { images, manifests, at, not_again: BTreeSet::new() })
    }

    /// The planned images once more, by name. What else has come since is not needed: ECR itself keeps the children of an
    /// index, and a tag that has moved is missing from its planned image.
    async fn look_again(&self, plan: &RepositoryPlan, listing: &mut Listing) -> Result<(), AwsError> {
        let existing = plan.deletions.iter().map(|deletion| deletion.digest);
        let existing: Vec<Digest> = existing.filter(|digest| listing.images.get(digest).is_some()).collect();
        let (again, not_again) = existing.split_at(existing.len().min(AGAIN_MAX));
        listing.at = self.clock.now();
        let fresh = self.registry.images_by_digest(&plan.name, again).await?;
        let asked: BTreeSet<&Digest> = again.iter().collect();
        let others = listing.images.iter().filter(|image| !asked.contains(&image.digest)).cloned();
        listing.images = others.chain(fresh).collect();
        listing.not_again = not_again.iter().copied().collect();
        Ok(())
    }

    /// What lists what in a repository now: an index that was pushed since the plan was made saves its children.
    async fn manifests(&self, plan: &RepositoryPlan, images: &Images) -> Result<Manifests, AwsError> {
        let parents = images.iter().filter(|image: &&Image| image.media_type.may_have_children());
        let parents: Vec<Digest> = parents.map(|image| image.digest).collect();
        let (mut manifests, unknown) = self.cache.manifests(&parents);
        let names = Mutex::new(Names::default());
        for (digest, manifest) in self.registry.manifests(&plan.name, &unknown, &names).await? {
            self.cache.keep_manifest(digest, &manifest);
            manifests.insert(digest, manifest);
        }
        Ok(manifests)
    }

    async fn delete(
        &self,
        plan: &RepositoryPlan,
        answers: &[(Digest, Answer)],
        count: usize,
        until: Time,
    ) -> Vec<(Digest, Outcome)> {
        let (deleting, registry) = (self.registry.with_end(Some(until)), self.registry.with_end(None));
        let mut sweep = Sweep::begin(plan, answers);
        for _ in 0..ROUNDS_MAX {
            while let Some(batch) = sweep.next_batch() {
                if self.clock.now() >= until {
                    sweep.failed(&batch, "the last look at it is too long ago: the next run deletes it");
                    continue;
                }
                match deleting.delete_images(&plan.name, &batch.identifiers).await {
                    Ok(reply) => sweep.record(&batch, &reply),
                    Err(problem) => sweep.failed(&batch, &words(&problem)),
                }
            }
            let waiting = sweep.to_confirm();
            if waiting.is_empty() {
                break;
            }
            match registry.images_again(&plan.name, &waiting, count).await {
                Ok(images) => {
                    let existing: Vec<Digest> = images.iter().map(|image| image.digest).collect();
                    sweep.confirm(&waiting, &existing);
                }
                // Not known to be gone, so whatever waits for it stays.
                Err(problem) => {
                    warn!(repository = plan.name, error = %problem, "what was deleted cannot be confirmed");
                    sweep.unconfirmed(&waiting, &words(&problem));
                }
            }
        }
        sweep.outcomes()
    }
}
