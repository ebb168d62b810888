//! A reader: one word of what is due and one waker, whatever the number of topics.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Topics a reader can follow at once: the lower bits of the word. The upper ones are the owner's, for what else may be
/// due to it (a heartbeat, the end).
pub const MOST_TOPICS: usize = 48;

/// What is due for one reader. Whoever has something for it sets a bit and wakes it; it takes all bits at once.
#[derive(Default)]
pub struct Reader {
    due: AtomicU64,
    waker: AtomicWaker,
}

impl Reader {
    /// One that nothing is due for.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Sets bits, and wakes whoever waits unless they were set already.
    pub fn rouse(&self, bits: u64) {
        if self.due.fetch_or(bits, Ordering::AcqRel) & bits != bits {
            self.waker.wake();
        }
    }

    /// Takes what is due.
    pub fn poll_due(&self, context: &mut Context<'_>) -> Poll<u64> {
        let take = || Some(self.due.swap(0, Ordering::AcqRel)).filter(|due| *due != 0);
        if let Some(due) = take() {
            return Poll::Ready(due);
        }
        self.waker.register(context.waker());
        take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until something is due. Cancel-safe.
    pub async fn due(&self) -> u64 {
        std::future::poll_fn(|context| self.poll_due(context)).await
    }
}
