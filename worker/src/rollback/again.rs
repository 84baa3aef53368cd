//! The courses of a rollback whose record the ledger has lost, made again from what its token keeps. What was decided is not
//! decided anew: by now the services' past looks otherwise.

use std::collections::BTreeMap;

use coalmine_door::AwsError;

use crate::deploy::revision::Revision;
use crate::deploy::rollback::aim::{Aim, Aims};
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::way::{Good, Present};
use crate::rollback::plan::{Request, look_at, planned_for};
use crate::rollback::survey::{Facts, Ledger, of_services};
use crate::tools::Tools;

/// The courses, in the order of the aims; or everything that keeps a service from being followed further.
///
/// # Errors
/// When a call fails.
pub(crate) async fn courses(
    tools: &Tools,
    request: &Request,
    Aims(aims): &Aims,
) -> Result<Result<Vec<Course>, Vec<(String, String)>>, AwsError> {
    let names: Vec<String> = aims.iter().map(|aim| aim.service.clone()).collect();
    let found = of_services(tools, &request.cluster, &names, None, Ledger::Needed).await?;
    let (mut courses, mut problems) = (Vec::with_capacity(aims.len()), Vec::new());
    for aim in aims {
        let label = format!("{}/{}", request.cluster, aim.service);
        match found.get(&aim.service) {
            None => problems.push((label, "the service is not there any more".to_owned())),
            Some(facts) => match Box::pin(course(tools, request, facts, aim)).await? {
                Ok(course) => courses.push(course),
                Err(found) => problems.extend(found.into_iter().map(|problem| (label.clone(), problem))),
            },
        }
    }
    // A canary that runs a copy has no release of its own.
    let releases: BTreeMap<String, _> =
        courses.iter().filter_map(|course: &Course| Some((course.service.clone(), course.release.clone()?))).collect();
    for course in &mut courses {
        let of_full = course.canary_of.as_ref().and_then(|full| releases.get(full));
        course.release = course.release.take().or_else(|| of_full.cloned());
        course.canary =
            aims.iter().find(|aim| aim.canary_of.as_ref() == Some(&course.service)).map(|aim| aim.service.clone());
    }
    Ok(if problems.is_empty() { Ok(courses) } else { Err(problems) })
}

async fn course(
    tools: &Tools,
    request: &Request,
    facts: &Facts,
    aim: &Aim,
) -> Result<Result<Course, Vec<String>>, AwsError> {
    let known = |revision: &Revision| facts.history.iter().find(|good| good.revision == *revision);
    let unknown = Good {
        release: None,
        pipeline: String::new(),
        at: 0,
        revision: aim.to.clone(),
        digests: BTreeMap::new(),
        returned: None,
        unfinished: false,
        over: None,
    };
    let target = known(&aim.to).unwrap_or(&unknown);
    let images = match look_at(tools, target).await? {
        Ok((_, images)) => images,
        Err(problems) => return Ok(Err(problems)),
    };
    // What it came from, as it was before.
    let digests = match &facts.present {
        present if present.revision == aim.from => present.digests.clone(),
        _ => known(&aim.from).map(|good| good.digests.clone()).unwrap_or_default(),
    };
    let present = Present { revision: aim.from.clone(), digests, ..facts.present.clone() };
    let before = Facts { present, own: aim.own, ..facts.clone() };
    let planned = planned_for(tools, request, &before, (target, images), Ledger::Needed).await?;
    Ok(Ok(Course { canary_of: aim.canary_of.clone(), ..planned.course }))
}
