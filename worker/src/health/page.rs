//! `GET /healthz`.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tracing::error;

use super::judge::PartHealth;
use crate::tools::Tools;
use coalmine_door::store::Location;

/// What is shown: nothing of a job but its id.
#[derive(Debug, Serialize)]
struct Page {
    /// `healthy` or `unhealthy`; the HTTP status says the same with 200 and 503.
    status: &'static str,
    version: &'static str,
    /// Where the ledger is.
    ledger: String,
    /// The ids of the jobs that this worker holds or is about to acknowledge.
    jobs: Vec<String>,
    parts: Vec<PartHealth>,
}

/// Answers for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, tools: Arc<Tools>, ledger: Location) {
    if let Err(problem) = axum::serve(listener, router(tools, ledger)).await {
        error!(error = %problem, "health checks are not answered any more");
    }
}

fn router(tools: Arc<Tools>, ledger: Location) -> Router {
    Router::new().route("/healthz", get(async move || answer(&tools, &ledger)))
}

fn answer(tools: &Tools, ledger: &Location) -> impl IntoResponse + use<> {
    let health = tools.pulse.health();
    let (code, status) = match health.healthy {
        true => (StatusCode::OK, "healthy"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let page = Page {
        status,
        version: env!("CARGO_PKG_VERSION"),
        ledger: ledger.to_string(),
        jobs: tools.held.jobs(),
        parts: health.parts,
    };
    // Plain strings always serialize.
    let body = serde_json::to_string(&page).unwrap_or_default();
    (code, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body)
}
