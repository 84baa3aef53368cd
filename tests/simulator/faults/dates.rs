//! The dates of requests and replies, for callers whose clock is off.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, Utc};
use http::HeaderMap;

use crate::call::Service;
use crate::error::ErrorReply;

/// How `SigV4` writes a date.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The error for a request whose signature bears a date too far from `now`: five minutes, at S3 fifteen.
pub(crate) fn stale_signature(headers: &HeaderMap, service: Service, now: SystemTime) -> Option<ErrorReply> {
    let text = headers.get("x-amz-date")?.to_str().ok()?;
    let signed = NaiveDateTime::parse_from_str(text, FORMAT).ok()?.and_utc();
    let now = DateTime::<Utc>::from(now);
    let off = (now - signed).abs().to_std().unwrap_or_default();
    if service == Service::S3 {
        let message = "The difference between the request time and the current time is too large.";
        let error = || ErrorReply::new("RequestTimeTooSkewed", message).with_status(403);
        return (off > Duration::from_secs(15 * 60)).then(error);
    }
    if off <= Duration::from_secs(5 * 60) {
        return None;
    }
    let shown = |date: DateTime<Utc>| date.format(FORMAT).to_string();
    let (now_text, allowed) = (shown(now), chrono::TimeDelta::minutes(5));
    let message = if signed < now {
        let least = shown(now - allowed);
        format!("Signature expired: {text} is now earlier than {least} ({now_text} - 5 min.)")
    } else {
        let most = shown(now + allowed);
        format!("Signature not yet current: {text} is still later than {most} ({now_text} + 5 min.)")
    };
    Some(ErrorReply::new("InvalidSignatureException", message))
}

/// A reply's `Date` header.
pub(crate) fn http_date(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
