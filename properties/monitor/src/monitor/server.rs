//! The HTTP server: metrics, health, and the findings behind the metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use prometheus_client::encoding::prometheus_text;
use tokio::net::TcpListener;

use super::Shared;

/// Page for a person who opens the address.
const INDEX: &str = "credence monitor\n/metrics  for Prometheus\n/healthz  200 if all is in sight, else 503 with the \
                     reasons\n/findings what is wrong, object by object, as JSON\n";

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/", get(|| std::future::ready(INDEX)))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/findings", get(findings))
        .with_state(shared);
    // It never ends by itself: axum waits and tries again when a connection cannot be accepted.
    axum::serve(listener, router).await.ok();
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], shared.metrics.text()).into_response()
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let sync_state = shared.sync_state.borrow().clone();
    if sync_state.is_clear() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, sync_state.explain()).into_response()
}

async fn findings(State(shared): State<Arc<Shared>>) -> Response {
    let is_complete = shared.sync_state.borrow().is_complete();
    if !is_complete {
        return (StatusCode::SERVICE_UNAVAILABLE, "the first lists are not complete\n").into_response();
    }
    let json = serde_json::to_string(&shared.state().health(Timestamp::now()).findings);
    // Findings are texts only, which JSON can always hold.
    ([(CONTENT_TYPE, "application/json")], json.unwrap_or_default()).into_response()
}
