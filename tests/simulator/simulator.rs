//! One simulated account: the world behind one `handle`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde_json::Value;

use crate::buckets::Buckets;
use crate::call::{Call, Service};
use crate::calls::{self, CallLog};
use crate::clock::Clock;
use crate::error::{Answer, ErrorReply};
use crate::wire::{self, Format};
use crate::world::World;
use crate::{cloudwatch, codepipeline, ecr, ecs, logs, s3};

/// How a simulated account is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of all chance.
    pub seed: u64,
    /// The date at which it starts.
    pub epoch: SystemTime,
    /// Simulated seconds per second of tokio's time; 1 where that is paused.
    pub speed: u32,
    /// The bounds of one call's way to the service and back.
    pub latency: (Duration, Duration),
    /// Whether AWS's token buckets hold.
    pub throttling: bool,
}

impl Settings {
    /// Virtual time's defaults: 2026-01-05 (a Monday) 09:00 UTC, 20 to 80 ms a call, throttling as AWS does.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600),
            speed: 1,
            latency: (Duration::from_millis(20), Duration::from_millis(80)),
            throttling: true,
        }
    }
}

/// A request and its reply, as values; what the judges outside of this program are shown.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The service's name, as botocore has it.
    pub service: &'static str,
    /// The operation's name.
    pub operation: String,
    /// The request's JSON.
    pub request: Value,
    /// The HTTP status.
    pub status: u16,
    /// The reply's JSON; an error has `__type` and `message`.
    pub reply: Value,
}

type Listener = Box<dyn FnMut(&Exchange) + Send>;

struct Inside {
    world: World,
    calls: CallLog,
    buckets: Buckets,
    listeners: Vec<Listener>,
}

/// A handle on one simulated account; clones are the same account.
#[derive(Clone)]
pub struct Simulator {
    inside: Arc<Mutex<Inside>>,
    clock: Clock,
    settings: Settings,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Simulator {
    /// An empty account, `123456789012` in `eu-central-1`. Needs a tokio runtime with time enabled.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let clock = Clock::starting_at(settings.epoch, settings.speed);
        let world = World::new(settings.epoch, settings.seed, "123456789012", "eu-central-1");
        let inside = Inside { world, calls: CallLog::default(), buckets: Buckets::default(), listeners: Vec::new() };
        Self { inside: Arc::new(Mutex::new(inside)), clock, settings }
    }

    /// The account's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// How it was set up.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks at or changes the world, brought up to now.
    pub fn with_world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut inside = self.lock();
        inside.world.advance(self.clock.now());
        let answer = look(&mut inside.world);
        inside.world.changed();
        answer
    }

    /// Looks at the call log.
    pub fn with_calls<T>(&self, look: impl FnOnce(&CallLog) -> T) -> T {
        look(&self.lock().calls)
    }

    /// Adds a listener to every exchange.
    pub fn listen(&self, listener: impl FnMut(&Exchange) + Send + 'static) {
        self.lock().listeners.push(Box::new(listener));
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // A watcher that panicked in another test thread must not hide its own message behind a poisoned lock.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request of any service: the two mounts end here.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let way = self.way();
        self.clock.wait(way).await;
        let reply = self.answer(&request);
        self.clock.wait(way).await;
        reply
    }

    fn way(&self) -> Duration {
        let (least, most) = self.settings.latency;
        self.lock().world.between(least, most) / 2
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut inside = self.lock();
        let now = self.clock.now();
        inside.world.advance(now);
        let reply = match target(request) {
            Some((service, operation, format)) => {
                inside.answer_rpc(service, operation, format, now, request, &self.settings)
            }
            None => inside.answer_s3(now, request),
        };
        inside.world.changed();
        reply
    }
}

impl Inside {
    fn answer_rpc(
        &mut self,
        service: Service,
        operation: String,
        format: Format,
        now: SystemTime,
        request: &Request<Bytes>,
        settings: &Settings,
    ) -> Response<Bytes> {
        let access_key = access_key(request.headers());
        let mut call = Call { at: now, service, operation, access_key, raw: Value::Null };
        let answer = wire::parse(format, request.body()).and_then(|raw| {
            call.raw = raw;
            if settings.throttling {
                self.buckets.take(&call)?;
            }
            dispatch(&mut self.world, &call)
        });
        self.calls.add(&call, calls::subject(&call.raw), answer.as_ref().err());
        let (status, value) = match answer {
            Ok(value) => (200, value),
            Err(error) => (error.status, error_value(&error)),
        };
        self.tell(&call, status, &value);
        let body = wire::render(format, value);
        let (content_type, protocol) = match format {
            Format::Json(content_type) => (content_type, None),
            Format::Cbor => ("application/cbor", Some("rpc-v2-cbor")),
        };
        let mut reply = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("x-amzn-requestid", self.world.uuid());
        if let Some(protocol) = protocol {
            reply = reply.header("smithy-protocol", protocol);
        }
        reply.body(Bytes::from(body)).unwrap_or_default()
    }

    fn answer_s3(&mut self, now: SystemTime, request: &Request<Bytes>) -> Response<Bytes> {
        let access_key = access_key(request.headers());
        let mut call = Call { at: now, service: Service::S3, operation: String::new(), access_key, raw: Value::Null };
        let s3::Reply { operation, subject, response, error } = s3::handle(&mut self.world, &call, request);
        call.operation = operation;
        self.calls.add(&call, subject, error.as_ref());
        response
    }

    fn tell(&mut self, call: &Call, status: u16, value: &Value) {
        if self.listeners.is_empty() {
            return;
        }
        // As JSON would carry it: dates as numbers.
        let reply = serde_json::from_slice(&wire::render(Format::Json(""), value.clone())).unwrap_or(Value::Null);
        let exchange = Exchange {
            service: call.service.name(),
            operation: call.operation.clone(),
            request: call.raw.clone(),
            status,
            reply,
        };
        for listener in &mut self.listeners {
            listener(&exchange);
        }
    }
}

fn dispatch(world: &mut World, call: &Call) -> Answer<Value> {
    match call.service {
        Service::CodePipeline => codepipeline::dispatch(world, call),
        Service::Ecs => ecs::dispatch(world, call),
        Service::Ecr => ecr::dispatch(world, call),
        Service::CloudWatch => cloudwatch::dispatch(world, call),
        Service::Logs => logs::dispatch(world, call),
        Service::S3 => Err(ErrorReply::unknown_operation("s3", &call.operation)),
    }
}

fn error_value(error: &ErrorReply) -> Value {
    let mut members = error.members.clone();
    members.insert("__type".into(), error.code.clone().into());
    members.insert("message".into(), error.message.clone().into());
    Value::Object(members)
}

/// Which operation a request names, and in which format. `None`: it is S3's.
fn target(request: &Request<Bytes>) -> Option<(Service, String, Format)> {
    if let Some(target) = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()) {
        let (prefix, operation) = target.split_once('.')?;
        let version = request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type =
            if version.ends_with("1.0") { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
        return Some((Service::of_target(prefix)?, operation.to_owned(), Format::Json(content_type)));
    }
    let (service, operation) = request.uri().path().strip_prefix("/service/")?.split_once("/operation/")?;
    Some((Service::of_target(service)?, operation.to_owned(), Format::Cbor))
}

/// The access key of an `Authorization` header (Signature Version 4).
fn access_key(headers: &HeaderMap) -> String {
    headers
        .get("authorization")
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.split_once("Credential="))
        .and_then(|(_, credential)| credential.split('/').next())
        .unwrap_or_default()
        .to_owned()
}
