//! Hosts beside AWS that a program may call: each keeps what it is sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};

/// The hosts, by name.
#[derive(Clone, Debug, Default)]
pub struct Hooks(BTreeMap<String, Hook>);

/// One host.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The status of its answers.
    pub status: u16,
    /// What was posted: path with query, and body.
    pub posts: Vec<(String, String)>,
}

impl Hooks {
    /// A host that answers so from now on.
    pub fn listen(&mut self, host: &str, status: u16) {
        self.0.entry(host.to_owned()).or_insert(Hook { status, posts: Vec::new() }).status = status;
    }

    /// What a host was sent.
    #[must_use]
    pub fn posts(&self, host: &str) -> &[(String, String)] {
        self.0.get(host).map(|hook| hook.posts.as_slice()).unwrap_or_default()
    }

    /// Answers a request to one of the hosts; `None`: it is for AWS.
    pub(crate) fn answer(&mut self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let hook = self.0.get_mut(request.uri().host()?)?;
        let post = request.method() == Method::POST;
        if post {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            hook.posts.push((path.to_owned(), String::from_utf8_lossy(request.body()).into_owned()));
        }
        Response::builder().status(if post { hook.status } else { 405 }).body(Bytes::new()).ok()
    }
}
