//! W3: what asking an actor costs, against the least that two tasks need to talk.

use super::{Plan, Spread};
use crate::record::say;
use crate::server::Failure;
use std::hint::black_box;
use std::time::{Duration, Instant};
use testkit::TestSystem;
use tokio::sync::{mpsc, oneshot};

/// Questions of a turn for each second it may take.
const PER_SECOND: u64 = 200_000;

/// A channel and a task, and an actor's handle, in turns: microseconds for a question and its answer.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    let system = TestSystem::start().await;
    let (event, _) = system.live_event().await;
    let handle = system.handles().events.get(event);
    handle.read().await?;
    let questions = PER_SECOND * plan.seconds.min(5) / 10;
    let (mut channel, mut bare, mut actor) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        let raw = through_channel(questions).await?;
        let (least, asked) = (through_bare_actor(questions).await?, through_actor(&handle, questions).await?);
        // The first round warms up.
        if round > 0 {
            channel.push(raw);
            bare.push(least);
            actor.push(asked);
        }
    }
    let of = |those: &[f64]| Spread::of(those.iter().zip(&channel).map(|(a, c)| a / c).collect());
    let (ours, least) = (of(&actor), of(&bare));
    say!(
        "W3 of the channel: reading an event from its actor {ours} (goal 1.5), the least a ractor actor takes {least}"
    );
    let (channel, bare, actor) = (Spread::of(channel), Spread::of(bare), Spread::of(actor));
    say!("mpsc and oneshot {channel} µs, a ractor actor {bare} µs, an event's {actor} µs");
    drop(handle);
    system.stop().await;
    Ok(())
}

fn each(took: Duration, questions: u64) -> f64 {
    took.as_secs_f64() * 1e6 / questions as f64
}

async fn through_channel(questions: u64) -> Result<f64, Failure> {
    let (ask, mut asked) = mpsc::unbounded_channel::<(i64, oneshot::Sender<i64>)>();
    let answering = tokio::spawn(async move {
        while let Some((question, reply)) = asked.recv().await {
            let _ = reply.send(question + 1);
        }
    });
    let asking = tokio::spawn(async move {
        let begun = Instant::now();
        for n in 0..questions {
            let (reply, answer) = oneshot::channel();
            ask.send((n as i64, reply))?;
            black_box(answer.await?);
        }
        Ok::<_, Failure>(each(begun.elapsed(), questions))
    });
    let took = asking.await??;
    answering.await?;
    Ok(took)
}

/// Answers a number with the next one.
struct Counting;

impl ractor::Actor for Counting {
    type Msg = (i64, ractor::RpcReplyPort<i64>);
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ractor::ActorRef<Self::Msg>, (): ()) -> Result<(), ractor::ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<Self::Msg>,
        (question, reply): Self::Msg,
        (): &mut (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        let _ = reply.send(question + 1);
        Ok(())
    }
}

async fn through_bare_actor(questions: u64) -> Result<f64, Failure> {
    let (actor, running) = ractor::Actor::spawn(None, Counting, ()).await?;
    let asked = actor.clone();
    let took = tokio::spawn(async move {
        let begun = Instant::now();
        for n in 0..questions {
            black_box(asked.call(|reply| (n as i64, reply), None).await?);
        }
        Ok::<_, Failure>(each(begun.elapsed(), questions))
    })
    .await??;
    actor.stop(None);
    running.await?;
    Ok(took)
}

async fn through_actor(handle: &actors::EventHandle, questions: u64) -> Result<f64, Failure> {
    let handle = handle.clone();
    tokio::spawn(async move {
        let begun = Instant::now();
        for _ in 0..questions {
            black_box(handle.read().await?);
        }
        Ok::<_, Failure>(each(begun.elapsed(), questions))
    })
    .await?
}
