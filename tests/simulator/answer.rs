//! One call carried out: throttled, dispatched, logged, and written as a reply.

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::accounts::Place;
use crate::call::{Call, Service};
use crate::error::{Answer, ErrorReply};
use crate::faults::{self, Fault, Moment};
use crate::incoming::Incoming;
use crate::simulator::{Exchange, Inside, Settings, Simulator};
use crate::wire::{self, Format};
use crate::world::World;
use crate::{cloudwatch, codebuild, codepipeline, ecr, ecs, eventbridge, lambda, logs, query, s3, scheduler, sts};

impl Simulator {
    /// Carries out a call that arrives now, changed by a fault. `false`: the fault found nothing to change.
    pub(crate) fn answer(&self, mut incoming: Incoming, fault: Option<&Fault>) -> (Response<Bytes>, bool) {
        let now = self.clock().now();
        let (checks_dates, hides_dates, repeats) = {
            let faults = self.faults();
            (faults.checks_dates, faults.hides_dates, faults.repeats())
        };
        let page = if repeats { faults::page_of(&incoming.call) } else { None };
        let before = page.as_ref().and_then(|page| self.faults().page(&page.key));
        incoming.call.at = now;
        if checks_dates {
            let error = faults::stale_signature(incoming.request.headers(), incoming.call.service, now);
            incoming.refused = incoming.refused.or(error);
        }
        let mut inside = self.lock();
        inside.worlds.advance(now);
        inside.intrude(&incoming.call);
        if incoming.refused.is_none() {
            incoming.refused = inside.not_permitted(&incoming);
        }
        let writes = !faults::reads(&incoming.call.operation);
        let (account, region) = (incoming.call.account.clone(), incoming.call.region.clone());
        let mut changing = Changing { fault, before, found: true, page: None };
        let mut reply = match incoming.format {
            Some(format) => inside.answer_rpc(&incoming, format, &mut changing, self.settings()),
            None => inside.answer_s3(incoming, fault),
        };
        let place = inside.worlds.place(&account, &region);
        if writes {
            place.changed();
        } else {
            place.world.changed();
        }
        drop(inside);
        if let (Some(page), Some(value)) = (page, changing.page) {
            self.faults().remember_page(page.key, value);
        }
        if !hides_dates && let Ok(date) = faults::http_date(now).parse() {
            reply.headers_mut().insert("date", date);
        }
        (reply, changing.found)
    }
}

/// What a fault does to a reply.
struct Changing<'a> {
    fault: Option<&'a Fault>,
    /// The page before, where pages are remembered.
    before: Option<Value>,
    /// Whether the fault found something to change.
    found: bool,
    /// The reply, where pages are remembered.
    page: Option<Value>,
}

impl Inside {
    fn answer_rpc(
        &mut self,
        incoming: &Incoming,
        format: Format,
        changing: &mut Changing<'_>,
        settings: &Settings,
    ) -> Response<Bytes> {
        let Incoming { call, subject, refused, .. } = incoming;
        let answer = match refused {
            Some(error) => Err(error.clone()),
            None => self.outcome(call, changing, settings),
        };
        let fault = changing.fault.filter(|_| changing.found);
        self.calls.add(call, subject.clone(), answer.as_ref().err(), fault);
        let (status, value) = match answer {
            Ok(value) => (200, value),
            Err(error) => (error.status, error_value(&error)),
        };
        // No judge knows a value that AWS does not have yet.
        if !matches!(fault, Some(Fault::UnknownValue(_))) {
            self.tell(call, status, &value);
        }
        let request_id = self.world(call).uuid();
        let code = value.get("__type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = match format {
            Format::Query => query::render(&call.operation, status, &value, &request_id),
            _ => wire::render(format, value),
        };
        let (content_type, further) = match format {
            Format::Json(content_type) => (content_type, None),
            Format::Cbor => ("application/cbor", Some(("smithy-protocol", "rpc-v2-cbor"))),
            Format::Rest => ("application/json", Some(("x-amzn-errortype", code.as_str()))),
            Format::Query => ("text/xml", None),
        };
        let reply = Response::builder().status(status).header("content-type", content_type);
        let mut reply = reply.header("x-amzn-requestid", request_id);
        if let Some((name, value)) = further.filter(|(_, value)| !value.is_empty()) {
            reply = reply.header(name, value);
        }
        reply.body(Bytes::from(body)).unwrap_or_default()
    }

    fn world(&mut self, call: &Call) -> &mut World {
        &mut self.worlds.place(&call.account, &call.region).world
    }

    /// What a call of a JSON service brings, with what a fault does to it.
    fn outcome(&mut self, call: &Call, changing: &mut Changing<'_>, settings: &Settings) -> Answer<Value> {
        let refusal = changing.fault.and_then(|fault| faults::instead_of_the_act(fault, call));
        if let Some((Moment::BeforeTheAct, error)) = refusal {
            return Err(error);
        }
        let Place { world, buckets, past } = self.worlds.place(&call.account, &call.region);
        if settings.throttling {
            buckets.take(call)?;
        }
        let call = &faults::without_mark(call);
        let answer = match changing.fault {
            Some(Fault::StaleRead(lag, _)) => match past.as_of(*lag, call.at) {
                Some(mut past) => dispatch(&mut past, call),
                None => dispatch(world, call),
            },
            Some(Fault::ShortPage(items)) => dispatch(world, &faults::short(call, *items)),
            Some(Fault::EmptyPage) => dispatch(world, call).map(|page| faults::emptied(call, page)),
            Some(Fault::RepeatedPage) if changing.before.is_some() => Ok(changing.before.take().unwrap_or_default()),
            Some(Fault::Failures(reason)) if let Some(failed) = faults::nothing_run(call, reason) => Ok(failed),
            Some(Fault::Failures(reason)) if let Some((rest, failure)) = faults::not_deleted(call, reason) => {
                faults::failed_with(rest.map(|rest| dispatch(world, &rest)), failure)
            }
            _ => dispatch(world, call),
        };
        if let Some((Moment::AfterTheAct, error)) = refusal {
            return Err(error);
        }
        let mut value = answer?;
        match changing.fault {
            Some(Fault::RepeatedItems) => {
                changing.page = Some(value.clone());
                changing.found = changing.before.as_ref().is_some_and(|page| faults::repeated(&mut value, page));
            }
            Some(Fault::Failures(reason)) if faults::fails_afterwards(call) => {
                changing.found = faults::failing(call, &mut value, reason);
            }
            Some(Fault::UnknownValue(member)) => changing.found = faults::unknown_value(&mut value, member),
            _ => {}
        }
        if changing.page.is_none() {
            changing.page = Some(value.clone());
        }
        Ok(value)
    }

    fn answer_s3(&mut self, incoming: Incoming, fault: Option<&Fault>) -> Response<Bytes> {
        let Incoming { mut call, request, refused, .. } = incoming;
        let refusal = fault.and_then(|fault| faults::instead_of_the_act(fault, &call));
        let world = self.world(&call);
        let reply = match (refused, refusal, fault) {
            (Some(error), ..) => s3::refuse(world, &request, error),
            (None, Some((Moment::BeforeTheAct, error)), _) => s3::refuse(world, &request, error),
            (None, Some((Moment::AfterTheAct, error)), _) => {
                let _ = s3::handle(world, &call, &request);
                s3::refuse(world, &request, error)
            }
            (None, None, Some(Fault::ShortPage(items))) => {
                s3::handle(world, &call, &faults::short_s3(&request, *items))
            }
            (None, None, _) => s3::handle(world, &call, &request),
        };
        let s3::Reply { operation, subject, response, error } = reply;
        call.operation = operation;
        self.calls.add(&call, subject, error.as_ref(), fault);
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

impl World {
    /// Carries out an operation of a JSON service as somebody from inside: what an intruder does between two calls
    /// ([`Simulator::before_call`]), who cannot call. It is neither throttled nor logged.
    ///
    /// # Errors
    /// What AWS refuses.
    pub fn act(&mut self, service: Service, operation: &str, request: Value) -> Answer<Value> {
        let call = Call::from_inside(self, service, operation, "operator", request);
        dispatch(self, &call)
    }
}

fn dispatch(world: &mut World, call: &Call) -> Answer<Value> {
    match call.service {
        Service::CodePipeline => codepipeline::dispatch(world, call),
        Service::Ecs => ecs::dispatch(world, call),
        Service::Ecr => ecr::dispatch(world, call),
        Service::CloudWatch => cloudwatch::dispatch(world, call),
        Service::Logs => logs::dispatch(world, call),
        Service::Lambda => lambda::dispatch(world, call),
        Service::CodeBuild => codebuild::dispatch(world, call),
        Service::EventBridge => eventbridge::dispatch(world, call),
        Service::Scheduler => scheduler::dispatch(world, call),
        Service::Sts => sts::dispatch(world, call),
        Service::S3 => Err(ErrorReply::unknown_operation("s3", &call.operation)),
    }
}

fn error_value(error: &ErrorReply) -> Value {
    let mut members = error.members.clone();
    members.insert("__type".into(), error.code.clone().into());
    members.insert("message".into(), error.message.clone().into());
    Value::Object(members)
}
