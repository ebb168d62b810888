//! The public face of the running system: what the edges may ask. No address and no message leaves this crate.

pub mod dead;
pub mod requests;

use crate::alarms::Alarms;
use crate::breaker::Breakers;
use crate::clock;
use crate::events::Events;
use crate::hub::Hub;
use crate::jobs::Jobs;
use crate::pictures::sweep;
use crate::root::Root;
use crate::tools::Tools;
use crate::trees::{Entries, Trees};
use crate::{entry, job, notices, retention};
use domain::ids::{EventId, StoreId};
use domain::shop::{Shop, Verification};
use domain::visit_guard::AddressTag;
use std::net::IpAddr;
use std::sync::Arc;
use storage::notices::NewNotice;
use storage::{Result, StorageError, Store};

/// Handles on everything that runs.
#[derive(Clone)]
pub struct Handles {
    /// Events.
    pub events: Events,
    /// Jobs.
    pub jobs: Jobs,
    /// Topics.
    pub hub: Hub,
    /// Breakers.
    pub breakers: Breakers,
    /// What is wrong.
    pub alarms: Alarms,
    /// The supervisor of the actors that exist once.
    pub root: Root,
    pub(crate) tools: Arc<Tools>,
    pub(crate) trees: Arc<Trees>,
}

impl Handles {
    /// Returns what the actors work with; lists and reads go to its store.
    #[must_use]
    pub fn tools(&self) -> &Arc<Tools> {
        &self.tools
    }

    /// Returns the database, for lists and reads.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.tools.store
    }

    /// Reads the entries of a closed event, with the tree over them.
    pub async fn entries(&self, event: EventId) -> Result<Arc<Entries>> {
        self.trees.of(&self.tools.store, event).await
    }

    /// Returns the key of an event's visit codes.
    #[must_use]
    pub fn visit_key(&self, id: EventId) -> [u8; 32] {
        crate::event::visit_key(&self.tools, id)
    }

    /// Returns the tag under which an address is counted today; it is never stored.
    #[must_use]
    pub fn address_tag(&self, address: IpAddr) -> AddressTag {
        entry::address_tag(&self.tools.keys, Some(address), clock::now())
    }

    /// Returns what is stored of a receipt.
    #[must_use]
    pub fn receipt_hash(receipt: &str) -> [u8; 32] {
        entry::receipt_hash(receipt)
    }

    /// Tells an owner something at most once a day by its kind. A failure is logged: what it is about happened all the same.
    pub async fn tell_daily(&self, notice: NewNotice) {
        notices::tell_daily(&self.tools, notice).await;
    }

    /// Decides from documents what the tax service could not, or got wrong, for every shop of the owner. Returns the shop as it
    /// was and whether that changed anything; `None` when there is no such shop.
    ///
    /// # Errors
    /// Constraint `users_business_taken` where another account holds the business number. The verdict may stand all the same:
    /// repeated, it stops what was not stopped.
    pub async fn verify_by_hand(&self, store: StoreId, right: bool) -> Result<Option<(Shop, bool)>, StorageError> {
        let shop = self.tools.store.run(async move |c| storage::stores::get(c, store).await).await?;
        let Some(shop) = shop else { return Ok(None) };
        let verdict = if right { Verification::Verified } else { Verification::Rejected };
        let changed = job::settle_verification(&self.tools, &self.events, shop.user, verdict, None).await?;
        Ok(Some((shop, changed)))
    }

    /// Deletes files that no picture and no publication uses, as housekeeping does at the start and every five minutes.
    pub async fn sweep_pictures(&self) -> Result<()> {
        sweep::drop_superseded(&self.tools).await?;
        sweep::delete_files(&self.tools).await
    }

    /// Destroys what is due now and reminds of draws, as housekeeping does at the start and every five minutes.
    ///
    /// # Errors
    /// The database did not say what is due.
    pub async fn destroy_due(&self) -> Result<()> {
        retention::destroy(&self.tools, &self.events).await?;
        retention::remind(&self.tools).await
    }
}
