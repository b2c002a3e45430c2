//! An axum router. Its handlers are `Send`, and so is all that they hold while they await: no `Rc`, no socket, no sleep
//! of the loop's, though one of `LoopTimer`'s. What they want of the loop they ask its handle, or a task of the loop's.

use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use loopbind::{LoopHandle, get_event_loop, sleep};

use crate::desk::Desk;

#[derive(Clone)]
struct App {
    desk: Desk,
    event_loop: LoopHandle,
}

/// Inside of a run: the loop that runs is the one that is asked.
pub(crate) fn router(desk: Desk) -> Router {
    let event_loop = get_event_loop().expect("made inside of a run").handle();
    Router::new()
        .route("/hello/{name}", get(hello))
        .route("/visit", get(visit))
        .route("/nap/{milliseconds}", get(nap))
        .route("/echo", post(echo))
        .with_state(App { desk, event_loop })
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

/// Counts in the `Rc` that the tower service has, too.
async fn visit(State(app): State<App>) -> Result<String, StatusCode> {
    let number = app.desk.visit().await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(format!("visit {number}\n"))
}

/// The closure is `Send`; the future that it makes on the loop's thread is not, and need not be.
async fn nap(State(app): State<App>, Path(milliseconds): Path<u64>) -> Result<String, StatusCode> {
    let nap = app.event_loop.spawn(move || async move {
        let nap = Rc::new(Duration::from_millis(milliseconds));
        sleep(*nap).await;
        format!("slept {nap:?}\n")
    });
    let nap = nap.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    nap.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Piece by piece, as it comes.
async fn echo(body: Body) -> Body {
    body
}
