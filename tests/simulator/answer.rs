//! One call carried out: throttled, dispatched, logged, and written as a reply.

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::call::{Call, Service};
use crate::error::{Answer, ErrorReply};
use crate::faults::{self, Fault, Moment};
use crate::incoming::Incoming;
use crate::simulator::{Exchange, Inside, Settings, Simulator};
use crate::wire::{self, Format};
use crate::world::World;
use crate::{cloudwatch, codepipeline, ecr, ecs, logs, s3};

impl Simulator {
    /// Carries out a call that arrives now, changed by a fault. `false`: the fault found nothing to change.
    pub(crate) fn answer(&self, mut incoming: Incoming, fault: Option<&Fault>) -> (Response<Bytes>, bool) {
        let now = self.clock().now();
        let (checks_dates, repeats) = {
            let faults = self.faults();
            (faults.checks_dates, faults.repeats())
        };
        let page = if repeats { faults::page_of(&incoming.call) } else { None };
        let before = page.as_ref().and_then(|page| self.faults().page(&page.key));
        incoming.call.at = now;
        if checks_dates {
            let error = faults::stale_signature(incoming.request.headers(), incoming.call.service, now);
            incoming.refused = incoming.refused.or(error);
        }
        let mut inside = self.lock();
        inside.advance(now);
        if incoming.refused.is_none() {
            let Inside { permissions, world, .. } = &mut *inside;
            incoming.refused = permissions.refuse(world, &incoming);
        }
        let writes = !faults::reads(&incoming.call.operation);
        let mut changing = Changing { fault, before, found: true, page: None };
        let mut reply = match incoming.format {
            Some(format) => inside.answer_rpc(&incoming, format, &mut changing, self.settings()),
            None => inside.answer_s3(incoming, fault),
        };
        inside.world.changed();
        if writes {
            let Inside { past, world, .. } = &mut *inside;
            past.remember(world);
        }
        drop(inside);
        if let (Some(page), Some(value)) = (page, changing.page) {
            self.faults().remember_page(page.key, value);
        }
        if checks_dates && let Ok(date) = faults::http_date(now).parse() {
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
        self.tell(call, status, &value);
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

    /// What a call of a JSON service brings, with what a fault does to it.
    fn outcome(&mut self, call: &Call, changing: &mut Changing<'_>, settings: &Settings) -> Answer<Value> {
        let refusal = changing.fault.and_then(|fault| faults::instead_of_the_act(fault, call, &self.world.account));
        if let Some((Moment::BeforeTheAct, error)) = refusal {
            return Err(error);
        }
        if settings.throttling {
            self.buckets.take(call)?;
        }
        let answer = match changing.fault {
            Some(Fault::StaleRead(lag, _)) => match self.past.as_of(*lag, call.at) {
                Some(mut past) => dispatch(&mut past, call),
                None => dispatch(&mut self.world, call),
            },
            Some(Fault::ShortPage(items)) => dispatch(&mut self.world, &faults::short(call, *items)),
            Some(Fault::RepeatedPage) if changing.before.is_some() => Ok(changing.before.take().unwrap_or_default()),
            Some(Fault::Failures(reason)) if let Some(failed) = faults::nothing_run(call, reason) => Ok(failed),
            _ => dispatch(&mut self.world, call),
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
            Some(Fault::Failures(reason)) if faults::nothing_run(call, reason).is_none() => {
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
        let refusal = fault.and_then(|fault| faults::instead_of_the_act(fault, &call, &self.world.account));
        let reply = match (refused, refusal, fault) {
            (Some(error), ..) => s3::refuse(&mut self.world, &request, error),
            (None, Some((Moment::BeforeTheAct, error)), _) => s3::refuse(&mut self.world, &request, error),
            (None, Some((Moment::AfterTheAct, error)), _) => {
                let _ = s3::handle(&mut self.world, &call, &request);
                s3::refuse(&mut self.world, &request, error)
            }
            (None, None, Some(Fault::ShortPage(items))) => {
                s3::handle(&mut self.world, &call, &faults::short_s3(&request, *items))
            }
            (None, None, _) => s3::handle(&mut self.world, &call, &request),
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
