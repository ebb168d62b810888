//! All sockets: their number, whose they are, and one wheel that tells them what time brings.

use super::crowd::{Crowd, SocketRank};
use crate::state::App;
use actors::hub::{MOST_TOPICS, Reader};
use domain::ids::{SessionId, UserId};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

/// Between two pings, in turns of the wheel.
const BEAT_TURNS: usize = 25;
/// One turn.
const TURN: Duration = Duration::from_secs(1);
/// Between two pings; two unanswered close.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(TURN.as_secs() * BEAT_TURNS as u64);

/// A ping is due.
pub(super) const BEAT: u64 = 1 << MOST_TOPICS;
/// Something was to be looked at again.
pub(super) const LOOK: u64 = BEAT << 1;
/// The login may have ended.
pub(super) const REVOKED: u64 = BEAT << 2;
/// The server restarts.
pub(super) const LEAVE: u64 = BEAT << 3;
/// A ping out of turn.
pub(super) const PROBE: u64 = BEAT << 4;
/// Somebody else needs the place.
pub(super) const DISMISSED: u64 = BEAT << 5;

/// All sockets of the server.
#[derive(Default)]
pub(crate) struct Sockets {
    crowd: Mutex<Crowd>,
    seats: Mutex<HashMap<UserId, Vec<UserSocket>>>,
    wheel: Wheel,
}

struct UserSocket {
    session: SessionId,
    reader: Arc<Reader>,
}

impl Sockets {
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock()
    }
}

/// A place among the sockets of the server and, with a login, of its user. Given back when dropped.
pub(super) struct SocketPermit {
    app: App,
    user: Option<UserId>,
    number: u64,
    standing: SocketRank,
    /// Where what is due for the socket is collected.
    pub(super) reader: Arc<Reader>,
}

impl SocketPermit {
    /// Takes a place; `None` when the server has as many sockets as it may, and none of them makes room.
    pub(super) fn take(app: &App) -> Option<Self> {
        let reader = Reader::new();
        let number = app.sockets.crowd().arrive(&reader, app.settings.sockets)?;
        metrics::gauge!("ws_connections").increment(1.0);
        app.sockets.wheel.join(&reader);
        Some(Self { app: app.clone(), user: None, number, standing: SocketRank::Silent, reader })
    }

    /// Stays without a ticket; false when strangers have their share of the sockets and all of them watch something.
    pub(super) fn greet(&mut self) -> bool {
        let within = self.app.sockets.crowd().is_within_share(self.app.settings.sockets);
        within && self.stand(SocketRank::Greeted)
    }

    /// Shows a ticket that we made, used or not: from now on nobody makes it leave. False when it was to leave before.
    pub(super) fn show_ticket(&mut self) -> bool {
        self.stand(SocketRank::Ticket)
    }

    /// A stranger watches something, or nothing any more.
    pub(super) fn watch(&mut self, something: bool) {
        if self.standing != SocketRank::Ticket {
            self.stand(if something { SocketRank::Watching } else { SocketRank::Greeted });
        }
    }

    fn stand(&mut self, standing: SocketRank) -> bool {
        let stays = self.app.sockets.crowd().change(self.number, self.standing, standing, &self.reader);
        if stays {
            self.standing = standing;
        }
        stays
    }

    /// Belongs to a login from now on; false when its user has as many sockets as one may.
    pub(super) fn belong(&mut self, user: UserId, session: SessionId) -> bool {
        let mut seats = self.app.sockets.seats.lock();
        let mine = seats.entry(user).or_default();
        if mine.len() >= self.app.settings.sockets_per_user {
            // Some may be those of a phone that vanished in a tunnel: a ping that nobody acknowledges ends them soon.
            mine.iter().for_each(|seat| seat.reader.rouse(PROBE));
            return false;
        }
        mine.push(UserSocket { session, reader: self.reader.clone() });
        self.user = Some(user);
        true
    }

    /// Wakes the socket with [`LOOK`] within a second or two.
    pub(super) fn look_again(&self) {
        let mut soon = self.app.sockets.wheel.soon.lock();
        soon.push(Arc::downgrade(&self.reader));
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        metrics::gauge!("ws_connections").decrement(1.0);
        self.app.sockets.crowd().leave(self.number, self.standing);
        let Some(user) = self.user else { return };
        let mut seats = self.app.sockets.seats.lock();
        if let Some(mine) = seats.get_mut(&user) {
            mine.retain(|s| !Arc::ptr_eq(&s.reader, &self.reader));
            if mine.is_empty() {
                seats.remove(&user);
            }
        }
    }
}

/// One timer for all: each turn rouses the readers of one slot, so that the heartbeats of many are spread evenly.
#[derive(Default)]
struct Wheel {
    slots: [Mutex<Vec<Weak<Reader>>>; BEAT_TURNS],
    hand: AtomicUsize,
    soon: Mutex<Vec<Weak<Reader>>>,
}

impl Wheel {
    /// The first beat comes a whole round from now.
    fn join(&self, reader: &Arc<Reader>) {
        let slot = &self.slots[self.hand.load(Ordering::Relaxed) % BEAT_TURNS];
        slot.lock().push(Arc::downgrade(reader));
    }

    fn turn(&self) {
        let hand = self.hand.fetch_add(1, Ordering::Relaxed) + 1;
        let rouse = |readers: &mut Vec<Weak<Reader>>, bit| {
            readers.retain(|r| {
                r.upgrade().is_some_and(|reader| {
                    reader.rouse(bit);
                    true
                })
            });
        };
        rouse(&mut self.slots[hand % BEAT_TURNS].lock(), BEAT);
        let mut soon = std::mem::take(&mut *self.soon.lock());
        rouse(&mut soon, LOOK);
    }

    fn all(&self, bit: u64) {
        for slot in &self.slots {
            let readers = slot.lock();
            readers.iter().filter_map(Weak::upgrade).for_each(|reader| reader.rouse(bit));
        }
    }
}

/// Turns the wheel, and tells sockets that their login ended or that the server restarts. Ends when it drains.
pub(crate) async fn keep(app: App) {
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = app.revocations.subscribe();
    loop {
        tokio::select! {
            () = app.draining.cancelled() => return app.sockets.wheel.all(LEAVE),
            _ = turns.tick() => app.sockets.wheel.turn(),
            news = ended.recv() => match news {
                Ok(_) | Err(RecvError::Lagged(_)) => revoke(&app),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn revoke(app: &App) {
    let seats = app.sockets.seats.lock();
    for seat in seats.values().flatten().filter(|s| app.revocations.contains(s.session)) {
        seat.reader.rouse(REVOKED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beats_come_a_round_apart_and_the_gone_are_forgotten() {
        let wheel = Wheel::default();
        let (reader, gone) = (Reader::new(), Reader::new());
        wheel.join(&reader);
        wheel.join(&gone);
        drop(gone);
        let due = |turns: usize| {
            let mut beats = Vec::new();
            for turn in 1..=turns {
                wheel.turn();
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                if let std::task::Poll::Ready(bits) = reader.poll_due(&mut context) {
                    beats.push((turn, bits));
                }
            }
            beats
        };
        assert_eq!(due(2 * BEAT_TURNS), [(BEAT_TURNS, BEAT), (2 * BEAT_TURNS, BEAT)]);
        assert_eq!(wheel.slots.iter().map(|s| s.lock().len()).sum::<usize>(), 1);
        wheel.soon.lock().push(Arc::downgrade(&reader));
        assert_eq!(due(3), [(1, LOOK)]);
        wheel.all(LEAVE);
        assert_eq!(reader.due().await, LEAVE);
    }
}
