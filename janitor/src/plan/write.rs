//! From a plan to its file, repository by repository, so that the whole text never is in memory.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::num::NonZeroU64;

use chrono::{DateTime, Utc};
use coalmine_pipeline::{Digest, Home};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::file::{Deletion, KeptImage, PlanFile, RepositoryPlan, VERSION};
use super::make::{Judged, Plan};
use super::verdict::Verdict;
use crate::inventory::Names;

impl Plan<'_> {
    /// What is to be done in each repository that a rule names, one after the other. With `kept`, what stays is told
    /// too.
    fn parts(&self, kept: bool) -> impl Iterator<Item = RepositoryPlan> {
        self.repositories.iter().filter(|judged| judged.rule.is_some()).map(move |judged| RepositoryPlan {
            name: judged.repository.name.clone(),
            deletions: self.deletions(judged),
            kept: if kept { self.kept_images(judged) } else { Vec::new() },
        })
    }

    /// What is to be carried out.
    pub fn file(&self) -> PlanFile {
        let (created, expires) = (self.now, self.now + self.policy.run.plan_ttl);
        PlanFile {
            version: VERSION,
            registry: self.snapshot.inventory.home.clone(),
            created,
            expires,
            policy: self.policy.hash().to_owned(),
            repositories: self.parts(false).collect(),
        }
    }

    /// Writes the plan with a verdict for every image. Equal plans are equal bytes.
    ///
    /// # Errors
    ///
    /// What writing to `out` fails with.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = Summing { out, sum: Sha256::new(), is_open: false };
        out.write_all(b"{\"plan\":")?;
        out.is_open = true;
        let mut buffered = io::BufWriter::new(&mut out);
        serde_json::to_writer(&mut buffered, &Written(self))?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        out.is_open = false;
        let sum = Digest::from_bytes(out.sum.finalize_reset().into());
        out.write_all(format!(",\"checksum\":\"{sum}\"}}\n").as_bytes())?;
        out.flush()
    }

    fn deletions(&self, judged: &Judged<'_>) -> Vec<Deletion> {
        let goes = |at: u32| matches!(judged.verdicts.get(at as usize), Some(Verdict::Delete(_)));
        let mut placed = vec![false; judged.verdicts.len()];
        let mut waiting: Vec<u32> = (0..).zip(&judged.verdicts).map(|(at, _)| at).filter(|at| goes(*at)).collect();
        let mut deletions = Vec::with_capacity(waiting.len());
        let mut reasons = Names::default();
        while !waiting.is_empty() {
            let is_ready =
                |at: &u32| !judged.graph.keepers_of(*at).any(|(keeper, _)| goes(keeper) && !placed[keeper as usize]);
            let (mut ready, mut rest): (Vec<u32>, Vec<u32>) = waiting.iter().partition(|at| is_ready(at));
            if ready.is_empty() {
                // Only tags can make a circle, of images that each claim to be about the other.
                ready.push(rest.remove(0));
            }
            for at in &ready {
                deletions
                    .extend(self.deletion(judged, *at, &mut reasons, |keeper| goes(keeper) && placed[keeper as usize]));
            }
            for at in ready {
                placed[at as usize] = true;
            }
            waiting = rest;
        }
        deletions
    }

    fn deletion(
        &self,
        judged: &Judged<'_>,
        at: u32,
        reasons: &mut Names,
        is_before: impl Fn(u32) -> bool,
    ) -> Option<Deletion> {
        let image = judged.listed().get(at as usize)?;
        let Verdict::Delete(condemned) = judged.verdicts.get(at as usize)? else { return None };
        let before = judged.graph.keepers_of(at).map(|(keeper, _)| keeper).filter(|keeper| is_before(*keeper));
        let after: BTreeSet<Digest> =
            before.filter_map(|keeper| Some(judged.listed().get(keeper as usize)?.digest)).collect();
        Some(Deletion {
            digest: image.digest,
            tags: image.tags.iter().map(|tag| tag.to_string()).collect(),
            after: after.into_iter().collect(),
            latest: condemned.life.1,
            size_bytes: image.size_bytes.map(NonZeroU64::get),
            why: reasons.get(&self.why(judged, at as usize)),
        })
    }

    fn kept_images(&self, judged: &Judged<'_>) -> Vec<KeptImage> {
        let kept = judged.images().enumerate().filter(|(_, (_, verdict))| matches!(verdict, Verdict::Keep(_)));
        kept.map(|(at, (image, _))| KeptImage {
            digest: image.digest,
            tags: image.tags.iter().map(|tag| tag.to_string()).collect(),
            why: self.why(judged, at),
        })
        .collect()
    }
}

/// A plan on its way to a file, one repository after the other: all of them at once would be larger than all that was
/// read.
struct Written<'p, 'a>(&'p Plan<'a>);

impl Serialize for Written<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Head<'p, 'a> {
            version: u32,
            registry: &'p Home,
            created: DateTime<Utc>,
            expires: DateTime<Utc>,
            policy: &'p str,
            repositories: Parts<'p, 'a>,
        }
        struct Parts<'p, 'a>(&'p Plan<'a>);
        impl Serialize for Parts<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.parts(true))
            }
        }
        Head {
            version: VERSION,
            registry: &self.0.snapshot.inventory.home,
            created: self.0.now,
            expires: self.0.now + self.0.policy.run.plan_ttl,
            policy: self.0.policy.hash(),
            repositories: Parts(self.0),
        }
        .serialize(serializer)
    }
}

/// Sums up what is written while it is open.
struct Summing<W> {
    out: W,
    sum: Sha256,
    is_open: bool,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if self.is_open {
            self.sum.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
