//! The provably fair draw, `madang-draw-1`: commit, root, key, picks, proof. Byte by byte, with the randomness passed in.
//!
//! 1. Approval publishes `commitment = SHA-256(seed)`.
//! 2. Closing publishes `root = SHA-256(0x02 ‖ eventId(16) ‖ count u64 ‖ rulesHash ‖ merkleRoot)`.
//! 3. The draw mixes in `external`: `key = HMAC-SHA256(seed, "madang-draw-1" ‖ eventId ‖ root ‖ external ‖ round u32)`
//!    and picks from the ChaCha20 keystream of that key.
//!
//! Integers are big-endian except the keystream's words, which are u64 little-endian.

pub mod merkle;
pub mod pick;
pub mod proof;
pub mod published;

use crate::ids::EventId;
use crate::offer::Prize;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub use merkle::{Tree, leaf_hash, merkle_root, verify_inclusion};
pub use pick::{Picks, pick};
pub use proof::{DrawProof, ProofError, verify};
pub use published::{FileFormat, Holder, PassedOn, PassedOnWhy, PublishedDraw, verify_published};

/// The version of this algorithm, part of key and proof.
pub const ALGORITHM: &str = "madang-draw-1";

/// A 32-byte digest.
pub type Hash = [u8; 32];

/// One entry as the draw sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// 1, 2, 3 … without holes.
    pub entry_no: u64,
    /// Tickets; 0 when the entry was void at the close.
    pub weight: u32,
    /// SHA-256 of the receipt.
    pub receipt_hash: Hash,
}

/// What `approval` publishes of a seed.
#[must_use]
pub fn commitment(seed: &Hash) -> Hash {
    Sha256::digest(seed).into()
}

/// SHA-256 over the rules: number of prizes u32, then each prize in rank order as name length u32 ‖ name (UTF-8) ‖
/// quantity u32, then the weight of an entry made in the shop, u32 (1 when there is no bonus).
#[must_use]
pub fn rules_hash(prizes: &[Prize], visit_weight: Option<u8>) -> Hash {
    let mut h = Sha256::new();
    h.update((prizes.len() as u32).to_be_bytes());
    for p in prizes {
        h.update((p.name.len() as u32).to_be_bytes());
        h.update(p.name.as_bytes());
        h.update(p.quantity.to_be_bytes());
    }
    h.update(u32::from(visit_weight.unwrap_or(1)).to_be_bytes());
    h.finalize().into()
}

/// The root published at the close.
#[must_use]
pub fn root(event: EventId, leaves: &[Leaf], prizes: &[Prize], visit_weight: Option<u8>) -> Hash {
    let mut h = Sha256::new();
    h.update([0x02]);
    h.update(event.0.as_bytes());
    h.update((leaves.len() as u64).to_be_bytes());
    h.update(rules_hash(prizes, visit_weight));
    h.update(merkle_root(leaves));
    h.finalize().into()
}

/// The key of a round. `external` is empty when the owner sent none.
#[must_use]
pub fn key(seed: &Hash, event: EventId, root: &Hash, external: &[u8], round: u32) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(seed).expect("HMAC takes a key of any length");
    mac.update(ALGORITHM.as_bytes());
    mac.update(event.0.as_bytes());
    mac.update(root);
    mac.update(external);
    mac.update(&round.to_be_bytes());
    mac.finalize().into_bytes().into()
}

/// How many win: the prizes in rank order, as (index of the prize, rank from 1) per place.
#[must_use]
pub fn places(prizes: &[Prize]) -> Vec<usize> {
    prizes.iter().enumerate().flat_map(|(i, p)| std::iter::repeat_n(i, p.quantity as usize)).collect()
}

#[cfg(test)]
#[path = "draw/tests.rs"]
mod tests;
