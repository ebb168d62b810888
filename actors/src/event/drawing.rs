//! Root and draw: computed in the background, stored here.

use super::commands::InTransaction;
use super::{DrawRequest, EventError, Msg, Reply, State};
use crate::draw::{self, DrawResult};
use domain::draw::PassedOnWhy;
use domain::event::{Fact, Rejection, Status, Who};
use domain::ids::DrawId;
use ractor::ActorRef;
use std::time::Duration;
use storage::StorageError;

/// Pause between two tries to compute a root.
const RETRY: Duration = Duration::from_secs(1);

impl State {
    pub(super) async fn rooted(&mut self, myself: &ActorRef<Msg>, result: Result<([u8; 32], i64), StorageError>) {
        self.working = false;
        let (root, entries) = match result {
            Ok(found) => found,
            Err(e) => {
                tracing::warn!(event = %self.args.id, error = %e, "the root could not be computed; trying again");
                self.working = true;
                let again = myself.clone();
                let Ok(event) = self.loaded().map(|l| l.event.clone()) else { return };
                let store = self.tools.store.clone();
                self.tools.tracker.spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    let _ = again.cast(Msg::Rooted(draw::root(&store, event).await));
                });
                return;
            }
        };
        let wanted = self.loaded().is_ok_and(|l| l.event.status == Status::Closed && l.event.root.is_none());
        if wanted {
            let fact = Fact::Rooted { root: domain::event::state::hex(&root), entries };
            if let Err(e) = self.persist(vec![fact], Who::System, crate::clock::now(), None).await {
                tracing::warn!(event = %self.args.id, error = %e, "the root was not stored");
                let _ = self.reload(myself).await;
            }
            self.changed(myself);
        }
        self.next_draw(myself);
    }

    /// Draws once; whoever asks meanwhile waits for the same draw.
    pub(super) async fn draw(&mut self, myself: &ActorRef<Msg>, request: DrawRequest, reply: Reply<bool>) {
        let mut status = match self.owned(Who::Owner(request.owner)) {
            Ok(l) => l.event.status,
            Err(e) => return super::answer(reply, Err(e)),
        };
        // Refused only as the row has it now.
        if !status.is_over() {
            if let Err(e) = self.reload(myself).await {
                return super::answer(reply, Err(e));
            }
            status = self.loaded().map_or(status, |l| l.event.status);
        }
        let drawn = self.loaded().is_ok_and(|l| l.event.drawn);
        match status {
            _ if drawn => super::answer(reply, Ok(false)),
            Status::Closed => match self.is_forgone().await {
                Ok(false) => {
                    self.drawing.push((request, reply));
                    self.next_draw(myself);
                }
                // What was given for it is about to be destroyed.
                Ok(true) => super::answer(reply, Err(Rejection::WrongState(status).into())),
                Err(e) => super::answer(reply, Err(self.failed(myself, e))),
            },
            other => super::answer(reply, Err(Rejection::WrongState(other).into())),
        }
    }

    async fn is_forgone(&self) -> Result<bool, StorageError> {
        let id = self.args.id;
        self.tools.store.run(async move |c| storage::retention::is_forgone(c, id).await).await
    }

    fn next_draw(&mut self, myself: &ActorRef<Msg>) {
        self.ensure_root(myself);
        let Some((request, _)) = self.drawing.first() else { return };
        let request = request.clone();
        if self.working {
            return;
        }
        let Ok(event) = self.loaded().map(|l| l.event.clone()) else { return };
        self.working = true;
        let (tools, myself) = (self.tools.clone(), myself.clone());
        self.tools.tracker.spawn(async move {
            let result = pick(&tools, event, &request).await;
            let _ = myself.cast(Msg::Picked(request, Box::new(result)));
        });
    }

    pub(super) async fn picked(
        &mut self,
        myself: &ActorRef<Msg>,
        request: DrawRequest,
        result: Result<DrawResult, StorageError>,
    ) {
        self.working = false;
        let outcome = match result {
            Ok(picked) => self.store_draw(myself, &request, picked).await,
            Err(e) => Err(EventError::Storage(e)),
        };
        if let Ok(facts) = &outcome {
            self.changed(myself);
            self.tell_of_forfeits(facts).await;
            metrics::counter!("draws_total").increment(1);
        }
        let mut first = outcome.is_ok();
        let failed = outcome.is_err();
        for (_, reply) in self.drawing.drain(..) {
            let drawn = std::mem::replace(&mut first, false);
            super::answer(reply, if failed { Err(EventError::Unavailable) } else { Ok(drawn) });
        }
    }

    /// Stores a draw; of those drawn, whoever has erased the entry meanwhile forfeits at once.
    async fn store_draw(
        &mut self,
        myself: &ActorRef<Msg>,
        request: &DrawRequest,
        picked: DrawResult,
    ) -> Result<Vec<Fact>, EventError> {
        let event = self.loaded()?.event.clone();
        if event.root != Some((picked.root, picked.entries)) {
            return Err(StorageError::Corrupt("the entries do not match the root published at the close".into()).into());
        }
        let winners = picked.drawn.iter().filter(|(_, prize)| prize.is_some()).count();
        let who = Who::Owner(request.owner);
        let draw = storage::draws::Draw {
            id: DrawId::new().0,
            round: 1,
            alternates: i32::try_from(request.alternates).unwrap_or(i32::MAX),
            external: request.external.map(|e| e.to_vec()),
            seed: picked.seed.to_vec(),
            root: picked.root.to_vec(),
            merkle_root: picked.merkle_root.to_vec(),
            entries: picked.entries,
            visit_weight: event.visit_weight.map(i16::from),
            at: crate::clock::now(),
        };
        let numbers: Vec<i64> = picked.drawn.iter().map(|(n, _)| *n).collect();
        let fact = Fact::Drawn { round: 1, winners: i32::try_from(winners).unwrap_or(i32::MAX) };
        let drawn = picked.drawn;
        let extra: InTransaction = Box::new(move |c| {
            Box::pin(async move {
                // An erasure from here on waits, and then finds the draw.
                storage::events::lock(c, event.id).await?;
                storage::draws::insert(c, event.id, &draw, &drawn, who.to_string()).await?;
                let mut facts = Vec::new();
                for entry_no in storage::entries::erased_of(c, event.id, numbers).await? {
                    let promoted = storage::draws::forfeit(c, event.id, entry_no, PassedOnWhy::Erased).await?;
                    facts.extend(promoted.map(|promoted| Fact::Forfeited { entry_no, promoted }));
                }
                Ok(facts)
            })
        });
        match self.persist(vec![fact], who, crate::clock::now(), Some(extra)).await {
            Ok(facts) => Ok(facts),
            // Another node drew: its draw is the one.
            Err(StorageError::Contended | StorageError::Conflict { .. }) => {
                self.reload(myself).await?;
                Ok(Vec::new())
            }
            Err(e) => Err(self.failed(myself, e)),
        }
    }
}

async fn pick(
    tools: &crate::tools::Tools,
    event: std::sync::Arc<domain::event::Event>,
    request: &DrawRequest,
) -> Result<DrawResult, StorageError> {
    let id = event.id;
    let sealed = tools.store.run(async move |c| storage::events::seed(c, id).await).await?;
    let sealed = sealed.ok_or_else(|| StorageError::Corrupt("no seed".into()))?;
    let plain = tools.keys.open_field("events.seed", id, &sealed)?;
    let seed = storage::draws::digest(&plain)?;
    draw::compute(&tools.store, event, seed, request.external, request.alternates).await
}
