//! Asking a running worker how it is: what `coalmine-worker health` does. Its container has no shell and no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use coalmine_door::clock::Clock;

/// How long an answer may take. ECS gives a health check 5 s unless its definition says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is read: the ids of a thousand jobs take 40 KB.
const BYTES_MAX: usize = 1 << 20;

/// What a worker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is healthy.
    pub healthy: bool,
    /// Its answer, JSON.
    pub page: String,
}

/// Why it is not known how a worker is.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answered.
    #[error("nobody answers on {0}: {1}; is the worker running with --listen {0}?")]
    Silent(SocketAddr, String),
    /// The answer did not come in time.
    #[error("no answer from {0} within {seconds} s", seconds = PATIENCE.as_secs())]
    Slow(SocketAddr),
    /// Somebody else answered.
    #[error("what answers on {0} is no coalmine-worker")]
    Stranger(SocketAddr),
}

/// Asks the worker that listens on `address`, on this machine where that means every address of it.
///
/// # Errors
/// When no worker answers within [`PATIENCE`].
pub async fn ask(clock: &Clock, address: SocketAddr) -> Result<Said, AskError> {
    let address = reachable(address);
    clock.limit(PATIENCE, fetch(address)).await.unwrap_or(Err(AskError::Slow(address)))
}

async fn fetch(address: SocketAddr) -> Result<Said, AskError> {
    let silent = |problem: String| AskError::Silent(address, problem);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{address}/healthz").parse().map_err(|_| AskError::Stranger(address))?;
    let answer = client.get(uri).await.map_err(|problem| silent(chain(&problem)))?;
    let accepted = answer.status().is_success();
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await.map_err(|_| AskError::Stranger(address))?;
    let page = String::from_utf8(body.to_bytes().to_vec()).map_err(|_| AskError::Stranger(address))?;
    let json: Value = serde_json::from_str(&page).map_err(|_| AskError::Stranger(address))?;
    match json["status"].as_str() {
        Some(status @ ("healthy" | "unhealthy")) => Ok(Said { healthy: accepted && status == "healthy", page }),
        _ => Err(AskError::Stranger(address)),
    }
}

/// A worker that listens on every address listens on the loopback one, too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

/// The innermost cause says most: "Connection refused".
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_on_the_loopback_one() {
        for (listened, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listened.parse().unwrap()).to_string(), asked);
        }
    }
}
