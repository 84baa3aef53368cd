//! Acting: carrying a plan out, one repository after the other, each after a last look.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

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
const FRESH_MAX: Duration = Duration::from_secs(30);
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
    began: Time,
    good_for: Duration,
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
        look: &mut Option<Look>,
    ) -> Result<Vec<(Digest, Outcome)>, String> {
        let names = Mutex::new(Names::default());
        let images = self.registry.images(&plan.name, &names).await.map_err(|problem| words(&problem))?;
        let images = images.unwrap_or_default();
        let manifests = self.manifests(plan, &images).await.map_err(|problem| words(&problem))?;
        let look = self.look(look).await?;
        let now = self.clock.now();
        let roots = look.in_use.roots(&self.policy.recent, memory, now);
        if let Some(missing) = roots.unread.first() {
            return Err(format!("a task definition was not read: {missing}"));
        }
        let fresh = Fresh {
            registry: &self.registry.home,
            replication: &look.replication,
            images: &images,
            manifests: &manifests,
            roots: &roots,
        };
        let answers = recheck(plan, &fresh);
        for (digest, answer) in &answers {
            if let Answer::Keep { why } = answer {
                info!(repository = plan.name, digest = %digest, why, "an image stays after the last look");
            }
        }
        Ok(self.delete(plan, &answers, images.len()).await)
    }

    /// What refers to images, read again unless that was done a moment ago.
    async fn look<'l>(&self, last: &'l mut Option<Look>) -> Result<&'l Look, String> {
        let now = self.clock.now();
        let is_good = |look: &Look| (now - look.began).to_std().is_ok_and(|age| age < look.good_for);
        if !last.as_ref().is_some_and(is_good) {
            let in_use = self.in_use(true).await;
            let incomplete = in_use.sources.iter().find(|report| matches!(report.reach, Reach::Incomplete { .. }));
            if let Some(report) = incomplete {
                return Err(report.to_string());
            }
            let replication = self.registry.replication().await.map_err(|problem| words(&problem))?;
            let took = (self.clock.now() - now).to_std().unwrap_or_default();
            let good_for = took + (took * FRESH_TIMES).clamp(FRESH_MIN, FRESH_MAX);
            *last = Some(Look { in_use, replication, began: now, good_for });
        }
        last.as_ref().ok_or_else(|| String::from("nothing was read"))
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
    ) -> Vec<(Digest, Outcome)> {
        let registry = self.registry.without_end();
        let mut sweep = Sweep::begin(plan, answers);
        for _ in 0..ROUNDS_MAX {
            while let Some(batch) = sweep.next_batch() {
                match registry.delete_images(&plan.name, &batch.identifiers).await {
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
