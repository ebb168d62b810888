//! The public proof of a draw, and its verification from nothing but itself.

use super::{ALGORITHM, Hash, Leaf, commitment, key, merkle_root, pick, places, root};
use crate::event::state::{hex, hex32};
use crate::ids::EventId;
use crate::offer::Prize;
use serde::{Deserialize, Serialize};

/// A leaf on the wire: `[weight, "sha256 of the receipt in hex"]`; its number is its place from 1.
pub type WireLeaf = (u32, String);

/// The rules that were committed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// In rank order.
    pub prizes: Vec<RulePrize>,
    /// Weight of an entry made in the shop; `None` without a bonus.
    pub visit_weight: Option<u8>,
    /// How many alternates were asked for.
    pub alternates: u32,
}

/// A prize as the rules name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePrize {
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: u32,
}

/// A place on the list of winners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvedWinner {
    /// Name of the prize.
    pub prize: String,
    /// 1, 2, 3 … over all prizes.
    pub rank: u32,
    /// Who won it in the draw.
    pub entry_no: u64,
}

/// Everything needed to recompute a draw. Hashes and `seed`, `external` are lowercase hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrawProof {
    /// [`ALGORITHM`].
    pub algorithm: String,
    /// The event.
    pub event_id: EventId,
    /// 1 for the first draw.
    pub round: u32,
    /// Published at approval.
    pub commitment: String,
    /// Revealed with the draw.
    pub seed: String,
    /// 32 bytes from the owner's browser; `None` when none were sent.
    pub external: Option<String>,
    /// Published after the close.
    pub root: String,
    /// The RFC 6962 tree's own root.
    pub merkle_root: String,
    /// Numbers given out.
    pub count: u64,
    /// The rules.
    pub rules: Rules,
    /// All entries by number.
    pub leaves: Vec<WireLeaf>,
    /// As drawn.
    pub winners: Vec<ProvedWinner>,
    /// As drawn.
    pub alternates: Vec<u64>,
}

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Made by an algorithm this version does not know.
    #[error("algorithm {0:?} is not {ALGORITHM:?}")]
    Algorithm(String),
    /// A field is not what it should be.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// A recomputed value differs.
    #[error("{0} does not match what was recomputed")]
    Mismatch(&'static str),
}

/// Winners and alternates of a draw, as the proof lists them.
#[must_use]
pub fn proved_winners(prizes: &[RulePrize], numbers: &[u64]) -> Vec<ProvedWinner> {
    let as_prizes: Vec<Prize> = to_prizes(prizes);
    places(&as_prizes)
        .into_iter()
        .zip(numbers)
        .zip(1..)
        .map(|((i, n), rank)| ProvedWinner { prize: prizes[i].name.clone(), rank, entry_no: *n })
        .collect()
}

fn to_prizes(prizes: &[RulePrize]) -> Vec<Prize> {
    prizes.iter().map(|p| Prize { name: p.name.clone(), quantity: p.quantity, unit_value_won: 0 }).collect()
}

/// The leaves of a proof.
///
/// # Errors
/// A leaf's hash is not 64 hex digits.
pub fn leaves_of(wire: &[WireLeaf]) -> Result<Vec<Leaf>, ProofError> {
    wire.iter()
        .zip(1..)
        .map(|((weight, h), entry_no)| {
            let receipt_hash = hex32(h).ok_or(ProofError::Malformed("leaves"))?;
            Ok(Leaf { entry_no, weight: *weight, receipt_hash })
        })
        .collect()
}

/// Whoever holds a prize now was drawn: as a winner, or as an alternate who moved up.
///
/// # Errors
/// Somebody was not.
pub fn verify_holders(proof: &DrawProof, entry_numbers: &[u64]) -> Result<(), ProofError> {
    let drawn = |n: &u64| proof.winners.iter().any(|w| w.entry_no == *n) || proof.alternates.contains(n);
    if entry_numbers.iter().all(drawn) { Ok(()) } else { Err(ProofError::Mismatch("holders")) }
}

/// Recomputes a draw from its proof.
///
/// # Errors
/// The first thing that does not match.
pub fn verify(proof: &DrawProof) -> Result<(), ProofError> {
    if proof.algorithm != ALGORITHM {
        return Err(ProofError::Algorithm(proof.algorithm.clone()));
    }
    let bytes = |s: &str, what| hex32(s).ok_or(ProofError::Malformed(what));
    let same = |holds: bool, what| if holds { Ok(()) } else { Err(ProofError::Mismatch(what)) };
    let seed: Hash = bytes(&proof.seed, "seed")?;
    let external: Option<Hash> = proof.external.as_deref().map(|e| bytes(e, "external")).transpose()?;
    if proof.rules.prizes.len() > 1000 || proof.rules.prizes.iter().any(|p| p.quantity > 1_000_000) {
        return Err(ProofError::Malformed("rules"));
    }
    let leaves = leaves_of(&proof.leaves)?;
    let prizes = to_prizes(&proof.rules.prizes);
    same(hex(&commitment(&seed)) == proof.commitment, "commitment")?;
    same(leaves.len() as u64 == proof.count, "count")?;
    same(hex(&merkle_root(&leaves)) == proof.merkle_root, "merkleRoot")?;
    let root = root(proof.event_id, &leaves, &prizes, proof.rules.visit_weight);
    same(hex(&root) == proof.root, "root")?;
    let key = key(&seed, proof.event_id, &root, external.as_ref().map_or(&[], |e| e.as_slice()), proof.round);
    let picks = pick(&key, &leaves, places(&prizes).len(), proof.rules.alternates as usize);
    same(proved_winners(&proof.rules.prizes, &picks.winners) == proof.winners, "winners")?;
    same(picks.alternates == proof.alternates, "alternates")
}
