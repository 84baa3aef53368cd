//! The order of a repository's deletes: what may be sent next, given what has happened so far.

use coalmine_pipeline::Digest;

use super::{Answer, Identifier, Outcome, Reply, RepositoryPlan};

/// A call of BatchDeleteImage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// At most 100.
    pub identifiers: Vec<Identifier>,
}

/// A repository's deletes under way.
#[derive(Debug)]
pub struct Sweep<'p> {
    plan: &'p RepositoryPlan,
}

impl<'p> Sweep<'p> {
    /// Begins with the answers of the last look.
    pub fn begin(plan: &'p RepositoryPlan, answers: Vec<(Digest, Answer)>) -> Self {
        let _ = answers;
        Self { plan }
    }

    /// The next call to make. `None`: nothing more to send before [`Sweep::to_confirm`] is answered, or at all.
    pub fn next_batch(&self) -> Option<Batch> {
        let _ = self.plan;
        todo!()
    }

    /// What the answer to a batch says.
    pub fn record(&mut self, batch: &Batch, reply: &Reply) {
        let _ = (batch, reply);
        todo!()
    }

    /// A batch whose call failed: `why`, and nothing is known of its images.
    pub fn failed(&mut self, batch: &Batch, why: &str) {
        let _ = (batch, why);
        todo!()
    }

    /// Images on whose absence others wait, and which AWS said it deleted: ask DescribeImages for them (by digest, at
    /// most 100 a call, `imageStatus` ANY).
    pub fn to_confirm(&self) -> Vec<Digest> {
        todo!()
    }

    /// DescribeImages' answer to [`Sweep::to_confirm`]: which of these digests still exist.
    pub fn confirm(&mut self, asked: &[Digest], existing: &[Digest]) {
        let _ = (asked, existing);
        todo!()
    }

    /// What became of every image, in the plan's order.
    pub fn outcomes(&self) -> Vec<(Digest, Outcome)> {
        todo!()
    }
}
