//! A shop, and what the tax service says of its business.

use crate::catalog::Region;
use crate::channel::Mode;
use crate::ids::{StoreId, UserId};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// What the tax service says of a business, or an operator who saw its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verification {
    /// It exists, is open, and number, day and name belong together.
    Verified,
    /// It did not answer; it is asked again by itself.
    Pending,
    /// It says no.
    Rejected,
}

impl Verification {
    /// The stored and wire name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Verified => "VERIFIED",
            Self::Pending => "PENDING",
            Self::Rejected => "REJECTED",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        [Self::Verified, Self::Pending, Self::Rejected].into_iter().find(|v| v.code() == s)
    }
}

/// A shop.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Its id.
    pub id: StoreId,
    /// Its owner.
    pub user: UserId,
    /// What customers see.
    pub name: String,
    /// Code of the industry.
    pub industry: String,
    /// Where.
    pub region: Region,
    /// Address, optional.
    pub address: Option<String>,
    /// Does its business exist, and is it its owner's?
    pub verification: Verification,
    /// Mode of the tax service when it last answered.
    pub mode: Mode,
    /// The blind-index key of its entries.
    pub index_kid: String,
    /// ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: Instant,
    /// Removed by its owner.
    pub removed: bool,
}
