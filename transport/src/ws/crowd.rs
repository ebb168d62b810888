//! The sockets of the server. Owners with a ticket have a share of their own; where there is no room, a stranger that watches nothing
//! leaves first, the longest there before all others. A socket that said nothing yet may be an owner's: strangers do not take
//! its place in their share.

use super::sockets::DISMISSED;
use actors::hub::Reader;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One socket in four is for owners with a ticket only.
const TICKETS_PART: usize = 4;

/// What is known of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketRank {
    /// It said nothing yet.
    Silent,
    /// It has no ticket, and watches nothing.
    Greeted,
    /// It has no ticket, and watches something.
    Watching,
    /// It showed a ticket.
    Ticket,
}

/// The sockets of the server.
#[derive(Default)]
pub(super) struct Crowd {
    open: usize,
    watching: usize,
    next: u64,
    /// Sockets that leave for others, the oldest first. One that was made to leave is not in here any more, nor in `open`.
    greeted: BTreeMap<u64, Arc<Reader>>,
    /// Sockets that leave where no greeted one is left: they may have a ticket.
    silent: BTreeMap<u64, Arc<Reader>>,
}

impl Crowd {
    /// A socket comes. Returns its number; `None` when there are `most` and none of them makes room.
    pub(super) fn arrive(&mut self, reader: &Arc<Reader>, most: usize) -> Option<u64> {
        if self.open >= most && !self.dismiss(SocketRank::Greeted) && !self.dismiss(SocketRank::Silent) {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.open += 1;
        self.silent.insert(number, reader.clone());
        Some(number)
    }

    /// The sockets of a standing that leave for others.
    fn idle(&mut self, standing: SocketRank) -> Option<&mut BTreeMap<u64, Arc<Reader>>> {
        match standing {
            SocketRank::Greeted => Some(&mut self.greeted),
            SocketRank::Silent => Some(&mut self.silent),
            SocketRank::Watching | SocketRank::Ticket => None,
        }
    }

    /// Makes the oldest socket of a standing leave.
    fn dismiss(&mut self, standing: SocketRank) -> bool {
        let oldest = self.idle(standing).and_then(BTreeMap::pop_first);
        let Some((_, reader)) = oldest else { return false };
        self.open -= 1;
        reader.rouse(DISMISSED);
        true
    }

    /// Is there room for one more stranger in the strangers' share, or does another make it?
    pub(super) fn is_within_share(&mut self, most: usize) -> bool {
        self.greeted.len() + self.watching < most - most / TICKETS_PART || self.dismiss(SocketRank::Greeted)
    }

    /// A socket is known as something else from now on. Returns false when it was made to leave.
    pub(super) fn change(&mut self, number: u64, from: SocketRank, to: SocketRank, reader: &Arc<Reader>) -> bool {
        if self.idle(from).is_some_and(|idle| idle.remove(&number).is_none()) {
            return false;
        }
        self.watching -= usize::from(from == SocketRank::Watching);
        self.watching += usize::from(to == SocketRank::Watching);
        if let Some(idle) = self.idle(to) {
            idle.insert(number, reader.clone());
        }
        true
    }

    /// A socket is gone.
    pub(super) fn leave(&mut self, number: u64, standing: SocketRank) {
        if self.idle(standing).is_some_and(|idle| idle.remove(&number).is_none()) {
            return;
        }
        self.watching -= usize::from(standing == SocketRank::Watching);
        self.open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 8;

    struct Socket {
        number: u64,
        standing: SocketRank,
        reader: Arc<Reader>,
    }

    impl Socket {
        fn arrive(crowd: &mut Crowd) -> Option<Self> {
            let reader = Reader::new();
            Some(Self { number: crowd.arrive(&reader, MOST)?, standing: SocketRank::Silent, reader })
        }

        fn stand(&mut self, crowd: &mut Crowd, to: SocketRank) -> bool {
            let stays = crowd.change(self.number, self.standing, to, &self.reader);
            if stays {
                self.standing = to;
            }
            stays
        }

        fn greet(&mut self, crowd: &mut Crowd) -> bool {
            crowd.is_within_share(MOST) && self.stand(crowd, SocketRank::Greeted)
        }

        fn is_dismissed(&self) -> bool {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            self.reader.poll_due(&mut context).is_ready()
        }
    }

    /// Case M7: however many strangers come, owners get in; of the strangers those that watch nothing leave first.
    #[test]
    fn strangers_leave_room_for_tickets() {
        let mut crowd = Crowd::default();
        let mut strangers = Vec::new();
        for n in 0..3 * MOST {
            let mut stranger = Socket::arrive(&mut crowd).expect("somebody makes room");
            assert!(stranger.greet(&mut crowd), "{n}");
            strangers.push(stranger);
        }
        let left: Vec<bool> = strangers.iter().map(Socket::is_dismissed).collect();
        assert_eq!(left.iter().filter(|left| !**left).count(), MOST - MOST / TICKETS_PART);
        assert!(left.is_sorted_by(|one, next| one >= next), "the oldest first: {left:?}");
        let kept = strangers.len() - (MOST - MOST / TICKETS_PART);
        for stranger in &mut strangers[kept..] {
            assert!(stranger.stand(&mut crowd, SocketRank::Watching));
        }
        let mut another = Socket::arrive(&mut crowd).expect("there is room to say hello");
        assert!(!another.greet(&mut crowd), "all others watch something");
        crowd.leave(another.number, another.standing);
        for n in 0..MOST / TICKETS_PART {
            let mut owner = Socket::arrive(&mut crowd).expect("room for a ticket");
            assert!(owner.stand(&mut crowd, SocketRank::Ticket), "{n}");
        }
        assert!(Socket::arrive(&mut crowd).is_none(), "nobody is left who would leave");
        assert!(strangers[kept].stand(&mut crowd, SocketRank::Greeted));
        assert!(Socket::arrive(&mut crowd).is_some() && strangers[kept].is_dismissed(), "it watches nothing any more");
    }

    /// Case M7: a stranger's hello takes no place of a socket that is about to show its ticket.
    #[test]
    fn a_stranger_s_hello_dismisses_nobody_who_is_silent() {
        let mut crowd = Crowd::default();
        for _ in 0..MOST - MOST / TICKETS_PART {
            let mut stranger = Socket::arrive(&mut crowd).expect("room");
            assert!(stranger.greet(&mut crowd) && stranger.stand(&mut crowd, SocketRank::Watching));
        }
        let mut owner = Socket::arrive(&mut crowd).expect("room");
        let mut stranger = Socket::arrive(&mut crowd).expect("room");
        assert!(!stranger.greet(&mut crowd), "the share is full of watchers");
        assert!(!owner.is_dismissed() && owner.stand(&mut crowd, SocketRank::Ticket));
        assert!(Socket::arrive(&mut crowd).is_some() && stranger.is_dismissed(), "a silent one leaves for a newcomer");
    }

    proptest! {
        /// Case M7: whatever sockets do, there are never too many, and all are counted right.
        #[test]
        fn every_socket_is_counted_once(steps in proptest::collection::vec((0u8..5, 0usize..2 * MOST), 0..200)) {
            let (mut crowd, mut sockets) = (Crowd::default(), Vec::<Socket>::new());
            for (step, which) in steps {
                if step == 0 {
                    sockets.extend(Socket::arrive(&mut crowd));
                } else if let Some(index) = (!sockets.is_empty()).then(|| which % sockets.len()) {
                    let socket = &mut sockets[index];
                    let stays = match (step, socket.standing) {
                        (1, SocketRank::Silent) => socket.greet(&mut crowd),
                        (2, SocketRank::Silent) => socket.stand(&mut crowd, SocketRank::Ticket),
                        (3, SocketRank::Greeted) => socket.stand(&mut crowd, SocketRank::Watching),
                        (3, SocketRank::Watching) => socket.stand(&mut crowd, SocketRank::Greeted),
                        (4, _) => false,
                        _ => true,
                    };
                    if !stays {
                        let gone = sockets.swap_remove(index);
                        crowd.leave(gone.number, gone.standing);
                    }
                }
                prop_assert!(crowd.open <= MOST);
            }
            for gone in sockets.drain(..) {
                crowd.leave(gone.number, gone.standing);
            }
            prop_assert_eq!((crowd.open, crowd.watching), (0, 0));
            prop_assert!(crowd.greeted.is_empty() && crowd.silent.is_empty());
        }
    }
}
