//! The values of the keys of `Options`.

use std::time::Duration;

use super::{AlreadyRed, Mode};
use crate::duration;
use crate::image::Digest;
use crate::limits::LONGEST_DEADLINE;
use crate::mismatch::Mismatch;
use crate::names;

pub(super) fn mode(value: &str, expected: &str) -> Result<Mode, Mismatch> {
    let known = expected.split(" or ").any(|mode| mode == value);
    match value {
        "deploy" => Ok(Mode::Deploy),
        "plan" if known => Ok(Mode::Plan),
        "plan" => Err(Mismatch::value(value, "deploy: a plan is made by Coalmine-Canary, before the first approval")),
        _ => Err(Mismatch::value(value, expected)),
    }
}

pub(super) fn container(name: &str) -> Result<(), Mismatch> {
    if names::is_ecs_name(name) {
        return Ok(());
    }
    Err(Mismatch::value(name, "a container's name after `image.`, 1 to 255 letters, digits, _ or -"))
}

/// A path that stays inside the artifact, spelled the way a zip spells it.
pub(super) fn file(value: &str) -> Result<String, Mismatch> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if value.split('/').all(plain) && !value.contains(|c: char| c == '\\' || c.is_control()) {
        return Ok(value.to_owned());
    }
    Err(Mismatch::value(value, "a path inside the artifact such as deploy/imagedefinitions.json, without . and .."))
}

pub(super) fn boolean(value: &str) -> Result<bool, Mismatch> {
    value.parse().map_err(|_| Mismatch::value(value, "true or false"))
}

pub(super) fn already_red(value: &str) -> Result<AlreadyRed, Mismatch> {
    match value {
        "block" => Ok(AlreadyRed::Block),
        "require-clear" => Ok(AlreadyRed::RequireClear),
        "ignore" => Ok(AlreadyRed::Ignore),
        _ => Err(Mismatch::value(value, "block, require-clear or ignore")),
    }
}

pub(super) fn deadline(value: &str) -> Result<Duration, Mismatch> {
    match duration::parse(value)? {
        deadline if deadline.is_zero() => Err(Mismatch::value(value, "a deadline of at least 1s")),
        deadline if deadline > LONGEST_DEADLINE => {
            let expected = "at most 23h, which leaves an hour to undo before CodePipeline times the action out";
            Err(Mismatch::value(value, expected))
        }
        deadline => Ok(deadline),
    }
}

/// Digests between plus signs; the commas separate options.
pub(super) fn digests(value: &str) -> Result<Vec<Digest>, Mismatch> {
    let read = |text: &str| Digest::parse(text.trim()).map_err(|_| Mismatch::value(text, "a digest as sha256:…"));
    value.split('+').map(read).collect()
}

/// A service and its canary; `none` where it has none.
pub(super) fn canary(service: &str, value: &str) -> Result<(String, Option<String>), Mismatch> {
    if !names::is_ecs_name(service) {
        return Err(Mismatch::value(service, "a service's name after `canary.`, 1 to 255 letters, digits, _ or -"));
    }
    if !names::is_ecs_name(value) {
        return Err(Mismatch::value(value, "the name of a service, or none"));
    }
    if service == value {
        return Err(Mismatch::new("the service itself", "another service, which is its canary"));
    }
    Ok((service.to_owned(), (value != "none").then(|| value.to_owned())))
}
