//! Simulated AWS STS: who calls, and roles of other accounts.
//!
//! ```text
//!   simulator.with_world(|world| world.sts.trust("arn:aws:iam::210987654321:role/reader"));
//!   simulator.with_world_of("210987654321", "eu-west-1", |world| …);
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Answer, Call, ErrorReply, Timestamp, World};

/// Sessions last an hour where nothing else is asked for.
const SESSION_SECONDS: u64 = 3_600;

/// What the account's callers may assume, and what they have assumed.
#[derive(Clone, Debug, Default)]
pub struct State {
    trusted: BTreeSet<String>,
    sessions: BTreeMap<String, Session>,
}

/// One assumed role.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) account: String,
    pub(crate) principal: String,
    pub(crate) expires: SystemTime,
}

impl State {
    /// Lets every caller of this account assume a role, by ARN.
    pub fn trust(&mut self, role: &str) {
        self.trusted.insert(role.to_owned());
    }

    /// Takes that back; sessions that are open stay open.
    pub fn distrust(&mut self, role: &str) {
        self.trusted.remove(role);
    }

    pub(crate) fn session(&self, access_key: &str) -> Option<&Session> {
        self.sessions.get(access_key)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AssumeInput {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<u64>,
    external_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeOutput {
    credentials: Credentials,
    assumed_role_user: AssumedRole,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRole {
    assumed_role_id: String,
    arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    user_id: String,
    account: String,
    arn: String,
}

/// External ids are taken as they come: no role here asks for one.
fn assume(world: &mut World, call: &Call, input: AssumeInput) -> Answer<AssumeOutput> {
    let _ = input.external_id;
    let role = input.role_arn;
    let refused = || {
        let user = &call.principal;
        let message = format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}");
        ErrorReply::new("AccessDenied", message).with_status(403)
    };
    if !world.sts.trusted.contains(&role) {
        return Err(refused());
    }
    let (account, name) = role
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .ok_or_else(|| ErrorReply::new("ValidationError", format!("{role} is invalid")))?;
    let name = name.rsplit('/').next().unwrap_or(name);
    let session = &input.role_session_name;
    if !(2..=64).contains(&session.len()) {
        return Err(ErrorReply::new("ValidationError", "roleSessionName must have length between 2 and 64"));
    }
    let seconds = match input.duration_seconds {
        None => SESSION_SECONDS,
        Some(seconds @ 900..=43_200) => seconds,
        Some(_) => return Err(ErrorReply::new("ValidationError", "durationSeconds must be between 900 and 43200")),
    };
    let principal = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
    let access_key_id = format!("ASIA{}", world.hex(16).to_uppercase());
    let expires = world.now + Duration::from_secs(seconds);
    let kept = Session { account: account.to_owned(), principal: principal.clone(), expires };
    let id = format!("AROA{}", world.hex(16).to_uppercase());
    let output = AssumeOutput {
        credentials: Credentials {
            access_key_id: access_key_id.clone(),
            secret_access_key: "not-a-secret".into(),
            session_token: world.hex(32),
            expiration: Timestamp(expires),
        },
        assumed_role_user: AssumedRole { assumed_role_id: format!("{id}:{session}"), arn: principal },
    };
    world.sts.sessions.insert(access_key_id, kept);
    Ok(output)
}

fn identity(world: &mut World, call: &Call, _input: NoInput) -> Answer<Identity> {
    let arn = call.principal.clone();
    Ok(Identity { user_id: call.access_key.clone(), account: world.account.clone(), arn })
}

crate::wire::json_operations! { dispatch:
    "AssumeRole" => assume,
    "GetCallerIdentity" => identity,
}
