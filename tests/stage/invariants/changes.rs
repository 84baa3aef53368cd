//! Which services changed since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use simulator::World;
use simulator::ecs::ServiceView;

use super::Names;
use crate::stage::application::CLUSTER;

/// What every service was at the last look.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    shape: Shape,
    /// The numbers of the deployments that it ever had.
    numbers: BTreeSet<String>,
    since: SystemTime,
    by_hand: bool,
    /// The task definitions that it was deployed with to the end: what a rollback may return to.
    good: BTreeSet<String>,
}

/// What a release must not change before its second approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) task_definition: String,
    /// The number of the PRIMARY deployment.
    pub(super) primary: String,
    pub(super) percents: (i32, i32),
}

/// One service at this look.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) view: ServiceView,
    pub(super) shape: Shape,
    /// What it was at the last look, if it was otherwise.
    pub(super) before: Option<Shape>,
    /// Whether it has a deployment that it never had before.
    pub(super) is_new: bool,
    /// Since when it has been deployed to what it is.
    pub(super) since: SystemTime,
    /// Whether a person made it what it is.
    pub(super) by_hand: bool,
    /// Whether ECS itself took it back to an earlier deployment.
    pub(super) taken_back: bool,
}

impl Changes {
    /// Looks at both services. `expected`: those that a person is about to change.
    pub(super) fn look(
        &mut self,
        world: &World,
        names: &Names,
        expected: &mut BTreeSet<String>,
        rolling: &BTreeSet<String>,
    ) -> BTreeMap<String, Seen> {
        let services = [&names.full, &names.canary].into_iter().filter_map(|name| world.ecs.outline(CLUSTER, name));
        services.map(|view| (view.service.clone(), self.see(world, view, expected, rolling))).collect()
    }

    fn see(
        &mut self,
        world: &World,
        view: ServiceView,
        expected: &mut BTreeSet<String>,
        rolling: &BTreeSet<String>,
    ) -> Seen {
        let shape = Shape {
            task_definition: view.task_definition.clone(),
            primary: view.primary.clone(),
            percents: view.percents,
        };
        let known = self.0.entry(view.service.clone()).or_insert_with(|| Known {
            shape: shape.clone(),
            numbers: BTreeSet::from([shape.primary.clone()]),
            since: world.now,
            by_hand: false,
            good: BTreeSet::from([shape.task_definition.clone()]),
        });
        if view.deployment_status == "SUCCESSFUL" {
            known.good.insert(shape.task_definition.clone());
        }
        let before = (known.shape != shape).then(|| known.shape.clone());
        let deployed = before.as_ref().is_some_and(|before| before.primary != shape.primary);
        let is_new = known.numbers.insert(shape.primary.clone());
        let rolls_back = view.deployment_status == "ROLLBACK_IN_PROGRESS";
        let taken_back =
            deployed && !is_new && rolls_back && before.as_ref().is_some_and(|was| was.percents == shape.percents);
        // A rollback brings nothing that the service did not run before, or changes its percents alone.
        let back = before.is_some()
            && rolling.contains(&view.service)
            && (!deployed || known.good.contains(&shape.task_definition));
        if before.is_some() && (expected.remove(&view.service) || back) {
            known.by_hand = true;
        } else if deployed && !taken_back {
            known.by_hand = false;
        }
        if deployed {
            known.since = world.now;
        }
        known.shape = shape.clone();
        Seen { shape, before, is_new, since: known.since, by_hand: known.by_hand, taken_back, view }
    }
}
