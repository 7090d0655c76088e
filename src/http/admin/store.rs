//! The store's upkeep: what is in it, and work on it that tells of itself line by line.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use super::Parts;
use crate::engine::upkeep::{self, Order, Progress};

/// So many steps may be told of that nobody has read yet; then the work waits.
const UNREAD: usize = 64;

pub(super) async fn stats(Shared(parts): Shared<Parts>) -> Response {
    match parts.state.stats().await {
        Ok(stats) => Json(stats).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// Begins the work and answers with a line of JSON for each step. It ends when the client goes.
pub(super) async fn work(Shared(parts): Shared<Parts>, Path(work): Path<String>, body: Bytes) -> Response {
    let order = match (work.as_str(), body.as_ref()) {
        ("verify", _) => Ok(Order::Verify),
        // Rewriting the records would keep all requests waiting.
        ("gc", _) => Ok(Order::Gc { compact: false }),
        ("prefetch", body) => serde_json::from_slice(body).map(Order::Prefetch),
        ("export", body) => serde_json::from_slice(body).map(Order::Export),
        ("import", body) => serde_json::from_slice(body).map(Order::Import),
        _ => {
            let message = "there are verify, gc, prefetch, export and import\n";
            return (StatusCode::NOT_FOUND, message).into_response();
        }
    };
    let order = match order {
        Ok(order) => order,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Ok(turn) = parts.upkeep.clone().try_acquire_owned() else {
        let message = "other work on the store is under way already; try again when it is done\n";
        return (StatusCode::CONFLICT, message).into_response();
    };
    let (tell, steps) = mpsc::channel(UNREAD);
    let (state, engine) = (parts.state.clone(), parts.current.load_full());
    tokio::spawn(async move {
        let _turn = turn;
        tokio::select! {
            () = upkeep::run(order, &state, &engine, &tell) => {}
            () = tell.closed() => {}
        }
    });
    let lines = stream::unfold(steps, |mut steps| async move {
        let step = steps.recv().await?;
        Some((Ok::<_, Infallible>(line(&step)), steps))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

fn line(step: &Progress) -> Bytes {
    // Numbers and strings always serialise.
    let mut line = serde_json::to_vec(step).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
