//! What a release would do, before anybody approves it: the preflight's checks, and what a person wants to know beside
//! them. Nothing is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_pipeline::limits::cut;
use coalmine_pipeline::{AlreadyRed, ImageReference, duration};
use serde::Serialize;

use crate::deploy::batch::Room;
use crate::deploy::decision::Terms;
use crate::deploy::difference::{Difference, differences};
use crate::deploy::message::{counted, printable};
use crate::deploy::preflight::{Facts, Found, copy_of, disturbed, find, reds};
use crate::deploy::release::Image;
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::Service;
use crate::deploy::warnings;

/// The longest summary, in characters: a configuration value of CodePipeline, such as an approval's text, takes 1,000,
/// and the pipeline's own words before it need their place.
pub const SUMMARY_CHARS_MAX: usize = 900;
/// How many differences a summary names.
const DIFFERENCES_SHOWN: usize = 6;

/// What an outlook looks at beside the preflight's facts.
#[derive(Clone, Debug)]
pub struct Beside {
    /// What the canary runs.
    pub canary_runs: Option<TaskDefinition>,
    /// What the full service runs.
    pub full_runs: Option<TaskDefinition>,
    /// What registries say of images, by reference.
    pub portraits: BTreeMap<String, Portrait>,
    /// How many tasks the canary is given.
    pub canary_tasks: u32,
    /// How the full service would be turned over, or why that is not known.
    pub turnover: Result<Terms, String>,
}

/// What a registry says of an image, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Portrait {
    /// The digest.
    pub digest: String,
    /// When it was pushed, in epoch seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<i64>,
    /// Its size in the registry, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The architectures of an index.
    pub architectures: Vec<String>,
    /// Whether its tag can be given to another image.
    pub movable: bool,
}

/// One container's image, now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// The container.
    pub container: String,
    /// What the full service runs; nothing where it has no such container.
    pub now: Option<Side>,
    /// What the release brings.
    pub then: Side,
}

/// An image, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The reference.
    pub image: String,
    /// What its registry says.
    pub portrait: Option<Portrait>,
}

/// What a release would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// Whether it can be deployed now.
    pub deployable: bool,
    /// What is wrong until somebody mends it.
    pub problems: Vec<String>,
    /// What stands against it now, and passes.
    pub not_now: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
    /// The images.
    pub images: Vec<ImageChange>,
    /// What else the task definitions would have otherwise: `cluster/service` → differences.
    pub differences: BTreeMap<String, Vec<Difference>>,
    /// How many tasks, how many at a time.
    pub batches: Vec<String>,
    /// The alarms that are watched.
    pub alarms: usize,
}

/// Looks ahead. The action is the canary's.
#[must_use]
pub fn look_ahead(facts: &Facts<'_>, beside: &Beside, now: i64) -> Outlook {
    let Found { problems, images, ground, .. } = find(facts);
    let mut outlook = Outlook { problems, alarms: facts.alarm_names.len(), ..Outlook::default() };
    outlook.images = images.iter().map(|image| change(facts, beside, image)).collect();
    let Some((canary, full, base)) = ground else { return outlook };
    outlook.not_now.extend(disturbed(facts, canary));
    let red = reds(facts, canary, full);
    match facts.options.already_red {
        AlreadyRed::Ignore => outlook.warnings.extend(red.iter().map(|alarm| format!("{alarm}, and is left out"))),
        AlreadyRed::Block | AlreadyRed::RequireClear => outlook.not_now.extend(red),
    }
    outlook.warnings.extend(image_warnings(&outlook.images, now));
    // Without a template each service keeps its own definition, but for the images.
    let of_full = if facts.template.is_some() { Some(base) } else { beside.full_runs.as_ref() };
    for (service, runs, base) in [(canary, &beside.canary_runs, Some(base)), (full, &beside.full_runs, of_full)] {
        let (Some(runs), Some(base)) = (runs, base) else { continue };
        let known: Vec<Image> = images.iter().filter(|image| has(base, &image.container)).cloned().collect();
        let request = copy_of(facts, &known, base, &runs.revision.family).request;
        let mut found = differences(&runs.body, &runs.tags, &request);
        // The images are told above.
        found.retain(|difference| difference.what != "image");
        outlook.differences.insert(service.label(), found);
        for warning in warnings::stops(&request, service).into_iter().chain(warnings::placement(&request, service)) {
            if !outlook.warnings.contains(&warning) {
                outlook.warnings.push(warning);
            }
        }
    }
    if facts.lender.is_none() && facts.percents.is_some_and(|own| own != canary.percents) {
        outlook.warnings.push(format!("{} has percents that an abandoned release left", canary.label()));
    }
    if facts.alarm_names.is_empty() {
        outlook
            .warnings
            .push("no alarm is watched: ECS and the tasks alone tell whether the release is well".to_owned());
    }
    outlook.batches = vec![canary_batch(canary, beside.canary_tasks)];
    match &beside.turnover {
        Ok(terms) => outlook.batches.push(full_batches(full, terms)),
        Err(why) => outlook.warnings.push(format!("how {} would be turned over is not known: {why}", full.label())),
    }
    outlook.deployable = outlook.problems.is_empty() && outlook.not_now.is_empty();
    outlook
}

fn has(definition: &TaskDefinition, container: &str) -> bool {
    definition.images().iter().any(|(name, _)| name == container)
}

fn change(facts: &Facts<'_>, beside: &Beside, image: &Image) -> ImageChange {
    let side = |reference: String| Side { portrait: beside.portraits.get(&reference).cloned(), image: reference };
    let asked = facts.asked.iter().find(|asked| asked.container == image.container);
    let runs = beside.full_runs.iter().flat_map(TaskDefinition::images);
    ImageChange {
        container: image.container.clone(),
        now: runs.into_iter().find(|(name, _)| *name == image.container).map(|(_, reference)| side(reference)),
        then: side(asked.map_or_else(|| image.reference.clone(), |asked| asked.reference.to_string())),
    }
}

fn image_warnings(images: &[ImageChange], now: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    for ImageChange { container, now: runs, then } in images {
        let Some(new) = &then.portrait else { continue };
        let old = runs.as_ref().and_then(|side| side.portrait.as_ref());
        if old.is_some_and(|old| old.digest == new.digest) {
            warnings.push(format!("container {container}: the full service runs this image already"));
        } else if let Some((old, new)) = old.and_then(|old| old.pushed).zip(new.pushed)
            && new < old
        {
            let older = passed(old - new);
            warnings.push(format!("container {container}: the image is {older} older than the one that runs"));
        }
        if new.movable {
            warnings.push(format!(
                "container {container}: its tag can be moved, so the canary pins what it names then; now that is {}",
                brief(&new.digest)
            ));
        }
        if new.pushed.is_some_and(|pushed| pushed > now) {
            warnings.push(format!("container {container}: the image was pushed in the future: a clock is wrong"));
        }
    }
    warnings
}

fn canary_batch(canary: &Service, tasks: u32) -> String {
    let label = canary.label();
    if tasks == canary.desired {
        return format!("{label}: {}, at once, new ones first", counted(tasks, "task"));
    }
    format!("{label}: {} instead of {}, at once, new ones first", counted(tasks, "task"), canary.desired)
}

fn full_batches(full: &Service, terms: &Terms) -> String {
    let (label, desired) = (full.label(), full.desired);
    if desired == 0 {
        return format!("{label}: no task is to run, so none is replaced");
    }
    let batch = terms.batch(desired).min(desired);
    let room = match Room::choose(desired, full.rebalancing, terms.surge) {
        Room::InPlace => "old ones stop first",
        Room::Surge => "new ones start first",
    };
    let batches = match desired.div_ceil(batch) {
        1 => "1 batch".to_owned(),
        several => format!("{several} batches"),
    };
    format!("{label}: {}, {batch} at a time ({batches}), {room}", counted(desired, "task"))
}

impl Outlook {
    /// The outlook in a few sentences, at most [`SUMMARY_CHARS_MAX`] characters: what stands against the release comes
    /// first, then what it brings.
    #[must_use]
    pub fn summary(&self, now: i64) -> String {
        let mut said = Vec::new();
        if !self.problems.is_empty() {
            said.push(format!("CANNOT BE DEPLOYED: {}", self.problems.join("; ")));
        }
        if !self.not_now.is_empty() {
            said.push(format!("NOT NOW: {}", self.not_now.join("; ")));
        }
        said.extend(self.images.iter().map(|image| in_words(image, now)));
        said.extend(self.batches.clone());
        said.push(self.differences_in_words());
        if self.alarms > 0 && self.not_now.is_empty() {
            said.push(format!("{} watched", counted(u32::try_from(self.alarms).unwrap_or(u32::MAX), "alarm")));
        }
        said.extend(self.warnings.iter().map(|warning| format!("Note: {warning}")));
        said.retain(|sentence| !sentence.is_empty());
        cut(&printable(&format!("Plan. {}.", said.join(". "))), SUMMARY_CHARS_MAX).into_owned()
    }

    /// Each difference once, with the service where it is one's alone.
    fn differences_in_words(&self) -> String {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for (service, found) in &self.differences {
            for difference in found {
                let text = difference.to_string();
                match told.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, services)) => services.push(service),
                    None => told.push((text, vec![service])),
                }
            }
        }
        if told.is_empty() {
            return match self.differences.is_empty() {
                true => String::new(),
                false => "Task definitions: the images alone change".to_owned(),
            };
        }
        let more = told.len().saturating_sub(DIFFERENCES_SHOWN);
        told.truncate(DIFFERENCES_SHOWN);
        let mut lines: Vec<String> = told
            .into_iter()
            .map(|(text, services)| match services[..] {
                [alone] if self.differences.len() > 1 => format!("{text} ({alone})"),
                _ => text,
            })
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        format!("Task definitions: {}", lines.join(", "))
    }
}

fn in_words(change: &ImageChange, now: i64) -> String {
    let then = side_in_words(&change.then, now);
    match &change.now {
        Some(runs) => format!("{}: {} → {then}", change.container, side_in_words(runs, now)),
        None => format!("{}: {then}", change.container),
    }
}

fn side_in_words(side: &Side, now: i64) -> String {
    let name = ImageReference::parse(&side.image).ok();
    let tag = name.as_ref().and_then(|name| name.tag()).map(str::to_owned);
    let Some(portrait) = &side.portrait else { return tag.unwrap_or_else(|| side.image.clone()) };
    let mut said = vec![brief(&portrait.digest)];
    said.extend(portrait.pushed.map(|pushed| format!("{} old", passed(now - pushed))));
    said.extend(portrait.bytes.map(bytes));
    if !portrait.architectures.is_empty() {
        said.push(portrait.architectures.join("+"));
    }
    match tag {
        Some(tag) => format!("{tag} ({})", said.join(", ")),
        None => said.join(", "),
    }
}

/// Of a digest as much as people compare.
#[must_use]
pub fn brief(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

/// Seconds in their largest units.
fn passed(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let coarse = match seconds {
        0..60 => seconds,
        60..3_600 => seconds / 60 * 60,
        3_600..172_800 => seconds / 3_600 * 3_600,
        _ => return format!("{}d", seconds / 86_400),
    };
    duration::show(Duration::from_secs(coarse))
}

/// Bytes for people, in powers of ten as AWS bills them.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let (mut scaled, mut unit) = (count, 0);
    while scaled >= 10_000 && unit + 1 < UNITS.len() {
        scaled /= 1000;
        unit += 1;
    }
    format!("{scaled} {}", UNITS[unit])
}

#[cfg(test)]
mod tests;
