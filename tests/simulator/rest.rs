//! REST JSON: the operation and its members stand in method, path and query.

use bytes::Bytes;
use http::Request;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::call::Service;
use crate::query;

/// A path; parts in braces name a member.
struct Route {
    service: Service,
    path: &'static str,
    operation: &'static str,
}

const fn route(service: Service, path: &'static str, operation: &'static str) -> Route {
    Route { service, path, operation }
}

/// All routes there are; each is a GET.
const ROUTES: [Route; 7] = [
    route(Service::Lambda, "2015-03-31/functions", "ListFunctions"),
    route(Service::Lambda, "2015-03-31/functions/{FunctionName}", "GetFunction"),
    route(Service::Lambda, "2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction"),
    route(Service::Lambda, "2015-03-31/functions/{FunctionName}/aliases", "ListAliases"),
    route(Service::Scheduler, "schedules", "ListSchedules"),
    route(Service::Scheduler, "schedules/{Name}", "GetSchedule"),
    route(Service::Scheduler, "schedule-groups", "ListScheduleGroups"),
];

/// Names in queries that are not the member's own.
const RENAMED: [(&str, &str); 2] = [("ScheduleGroup", "GroupName"), ("groupName", "GroupName")];

/// Members that are numbers.
const NUMBERS: [&str; 2] = ["MaxItems", "MaxResults"];

/// Service, operation and members of a request that was signed for a REST service. `None`: it was not. An operation that
/// is not there is called by method and path.
pub(crate) fn read(request: &Request<Bytes>, signed_for: &str) -> Option<(Service, String, Value)> {
    let service = match signed_for {
        "lambda" => Service::Lambda,
        "scheduler" => Service::Scheduler,
        _ => return None,
    };
    let path = request.uri().path().trim_matches('/');
    let found = ROUTES.iter().filter(|route| route.service == service && request.method() == http::Method::GET);
    let found = found.into_iter().find_map(|route| Some((route.operation.to_owned(), members_of(route.path, path)?)));
    let (operation, mut members) = found.unwrap_or_else(|| (format!("{} /{path}", request.method()), Map::new()));
    for (name, value) in query::parameters(request.uri().query().unwrap_or_default()) {
        let name = RENAMED.iter().find(|(wire, _)| *wire == name).map_or(name.as_str(), |(_, member)| member);
        let number = value.as_str().filter(|_| NUMBERS.contains(&name)).and_then(|text| text.parse::<i64>().ok());
        members.insert(name.to_owned(), number.map_or(value, Value::from));
    }
    Some((service, operation, Value::Object(members)))
}

/// The members that a path holds. `None`: it is another route's.
fn members_of(route: &str, path: &str) -> Option<Map<String, Value>> {
    let mut members = Map::new();
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(members),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => {
                    let text = percent_decode_str(given).decode_utf8_lossy().into_owned();
                    members.insert(name.to_owned(), text.into());
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}
