//! Asking an actor, always with a deadline.

use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};
use std::time::Duration;

/// Time that an edge waits for an actor: longer than a unit of work may wait for its connection.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// The actor did not answer: it is gone, restarting, or too slow. Whether it acted is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the actor did not answer")]
pub struct Unavailable;

/// Sends a message with a reply port and waits for the reply.
///
/// # Errors
/// The actor is gone, dropped the port, or did not answer in time.
pub async fn ask<M: Message, R: Send + 'static>(
    actor: &ActorRef<M>,
    message: impl FnOnce(RpcReplyPort<R>) -> M,
    deadline: Duration,
) -> Result<R, Unavailable> {
    match actor.call(message, Some(deadline)).await {
        Ok(CallResult::Success(reply)) => Ok(reply),
        _ => Err(Unavailable),
    }
}
