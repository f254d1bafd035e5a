//! Whether the relay lives, and whether it is ready for more.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::sync::oneshot;

use super::Front;
use crate::{
    control::{Answer, json_answer},
    hub::Command,
};

/// How long a shard may take to answer. One that is busy answers between two turns.
const SHARD_TIME: Duration = Duration::from_secs(2);

impl Front {
    /// Answers `/healthz`: 200 while every thread of the relay works. A failure means that only a
    /// restart helps.
    pub(crate) async fn health(&self) -> Answer {
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Ping(reply));
            if !matches!(tokio::time::timeout(SHARD_TIME, answer).await, Ok(Ok(()))) {
                return json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stuck" }));
            }
        }
        json_answer(StatusCode::OK, &json!({ "status": "ok" }))
    }

    /// Answers `/readyz`: 200 while new connections are welcome. A failure says why, and passes by
    /// itself or ends with the drain.
    pub(crate) async fn readiness(&self) -> Answer {
        let (status, word) = if self.is_draining() {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if let Some(control) = &self.control
            && control.store.version().await.is_err()
        {
            (StatusCode::SERVICE_UNAVAILABLE, "database unavailable")
        } else {
            (StatusCode::OK, "ready")
        };
        json_answer(status, &json!({ "status": word }))
    }
}
