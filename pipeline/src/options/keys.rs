//! The keys of `Options`, defined once: for the parser, `contract.json` and the README's table.

/// One key of `Options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionKey {
    /// Which key it is.
    pub key: Key,
    /// How it is written; `image.<container>` stands for one key per container.
    pub name: &'static str,
    /// What a value looks like, a phrase for messages.
    pub expected: &'static str,
    /// What holds without it, in the words of a value; `None` where only the description can say.
    pub default: Option<&'static str>,
    /// What it does, for the documentation.
    pub description: &'static str,
}

/// The keys that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `mode`
    Mode,
    /// `image.<container>`
    Image,
    /// `file`
    File,
    /// `surge`
    Surge,
    /// `already_red`
    AlreadyRed,
    /// `deadline`
    Deadline,
    /// `wait`
    Wait,
    /// `ignore_unknown`
    IgnoreUnknown,
    /// `allow`
    Allow,
    /// `canary.<service>`
    Canary,
    /// `partial`
    Partial,
}

impl OptionKey {
    /// Whether `written` is this key: `None` if not, else the container or service it names, which is empty for all keys
    /// but `image.<container>` and `canary.<service>`.
    pub(super) fn matches<'a>(&self, written: &'a str) -> Option<&'a str> {
        match self.key {
            Key::Image => written.strip_prefix("image."),
            Key::Canary => written.strip_prefix("canary."),
            _ => (written == self.name).then_some(""),
        }
    }
}

const CANARY_MODE: OptionKey = OptionKey {
    key: Key::Mode,
    name: "mode",
    expected: "deploy or plan",
    default: Some("deploy"),
    description: "`deploy` deploys; `plan` only checks everything and says in `Summary` what would be done, for an approval before",
};

const FULL_MODE: OptionKey = OptionKey {
    key: Key::Mode,
    name: "mode",
    expected: "deploy",
    default: Some("deploy"),
    description: "`deploy` deploys; `plan` is for `Coalmine-Canary`, whose plan says how the full service would be turned over, too",
};

const IMAGE: OptionKey = OptionKey {
    key: Key::Image,
    name: "image.<container>",
    expected: "an image as host/repository:tag or host/repository@sha256:…",
    default: None,
    description: "the image of one container, where it comes as a variable instead of an artifact",
};

const FILE: OptionKey = OptionKey {
    key: Key::File,
    name: "file",
    expected: "a path inside the artifact such as deploy/imagedefinitions.json",
    default: None,
    description: "the file in the artifact that names the images; by default `imagedefinitions.json`, else `imageDetail.json`",
};

const SURGE: OptionKey = OptionKey {
    key: Key::Surge,
    name: "surge",
    expected: "true or false",
    default: None,
    description: "`true` starts new tasks before old ones stop, `false` the other way round; by default as the service allows",
};

const ALREADY_RED: OptionKey = OptionKey {
    key: Key::AlreadyRed,
    name: "already_red",
    expected: "block, require-clear or ignore",
    default: Some("block"),
    description: "an alarm that is red before the start: `block` fails, `require-clear` waits for OK, `ignore` leaves it out",
};

const DEADLINE: OptionKey = OptionKey {
    key: Key::Deadline,
    name: "deadline",
    expected: "a duration from 1s to 23h such as 90m",
    default: None,
    description: "when the action gives up and undoes what it did; by default 60 min + BakeTime (Canary), 3 h (Full)",
};

const WAIT: OptionKey = OptionKey {
    key: Key::Wait,
    name: "wait",
    expected: "a duration such as 15m",
    default: Some("15m"),
    description: "how long to wait for a service that is in the middle of another deployment",
};

const IGNORE_UNKNOWN: OptionKey = OptionKey {
    key: Key::IgnoreUnknown,
    name: "ignore_unknown",
    expected: "true or false",
    default: Some("false"),
    description: "`true` leaves out images of containers that the task definition does not have, instead of refusing them",
};

const ALLOW: OptionKey = OptionKey {
    key: Key::Allow,
    name: "allow",
    expected: "digests as sha256:…, separated by +",
    default: None,
    description: "digests that are deployed although the service was rolled back from them, separated by `+`",
};

const ROLLBACK_DEADLINE: OptionKey = OptionKey {
    key: Key::Deadline,
    name: "deadline",
    expected: "a duration from 1s to 23h such as 90m",
    default: None,
    description: "when the action stops following services that are not back yet, and fails; by default 60 min",
};

const ROLLBACK_SURGE: OptionKey = OptionKey {
    key: Key::Surge,
    name: "surge",
    expected: "true or false",
    default: None,
    description: "`true` replaces all tasks at once, new ones first; `false` a quarter at a time, old ones first; by default at once, but where the service's own maximum percent is 100",
};

const CANARY_OF: OptionKey = OptionKey {
    key: Key::Canary,
    name: "canary.<service>",
    expected: "the name of an ECS service (1 to 255 letters, digits, _ or -), or none",
    default: None,
    description: "the canary service that goes with a service, or `none`; by default as the ledger, the service's tag `coalmine:canary`, or the name `<service>-canary` tells",
};

const PARTIAL: OptionKey = OptionKey {
    key: Key::Partial,
    name: "partial",
    expected: "true or false",
    default: Some("false"),
    description: "`true` returns the services that can be returned where others cannot, instead of none",
};

/// The keys that `Coalmine-Canary` knows.
pub const CANARY_KEYS: &[OptionKey] = &[CANARY_MODE, IMAGE, FILE, ALREADY_RED, DEADLINE, WAIT, IGNORE_UNKNOWN, ALLOW];

/// The keys that `Coalmine-Full` knows.
pub const FULL_KEYS: &[OptionKey] =
    &[FULL_MODE, IMAGE, FILE, SURGE, ALREADY_RED, DEADLINE, WAIT, IGNORE_UNKNOWN, ALLOW];

/// The keys that `Coalmine-Rollback` knows.
pub const ROLLBACK_KEYS: &[OptionKey] = &[CANARY_OF, ROLLBACK_SURGE, ROLLBACK_DEADLINE, PARTIAL];
