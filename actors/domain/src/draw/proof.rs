//! The public proof of a draw, and its verification from nothing but itself.

use super::{ALGORITHM, Hash, Leaf, commitment, key, merkle_root, pick, places, root};
use crate::event::command::{MAX_VISIT_WEIGHT, MIN_VISIT_WEIGHT};
use crate::event::state::{hex, hex32};
use crate::ids::EventId;
use crate::offer::{MAX_PRIZE_KINDS, MAX_PRIZE_QUANTITY, Prize};
use serde::{Deserialize, Serialize};

/// Alternates of a draw at most: more would only keep more people's data for longer.
pub const MAX_ALTERNATES: u32 = 100;

/// A leaf on the wire: `[weight, "sha256 of the receipt in hex"]`; its number is its place from 1.
pub type WireLeaf = (u32, String);

/// The rules that were committed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// In rank order.
    pub prizes: Vec<RulePrize>,
    /// Weight of an entry made in the shop; `None` without a bonus.
    pub visit_weight: Option<u8>,
    /// How many alternates were drawn; files of before say how many were asked for, which may be more.
    pub alternates: u32,
}

/// A prize as the rules name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePrize {
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: u32,
}

/// A place on the list of winners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvedWinner {
    /// Name of the prize.
    pub prize: String,
    /// 1, 2, 3 … over all prizes.
    pub rank: u32,
    /// Number of the entry that won it in the draw.
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
    /// A part that the file must have was left out.
    #[error("{0} is missing: the file was cut down; load it again from the event's page")]
    Missing(&'static str),
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
            let receipt_hash = digest_of(h, "leaves")?;
            Ok(Leaf { entry_no, weight: *weight, receipt_hash })
        })
        .collect()
}

/// Reads 32 bytes written as 64 lowercase hex digits: another spelling is another value.
pub(super) fn digest_of(text: &str, what: &'static str) -> Result<Hash, ProofError> {
    hex32(text).filter(|bytes| hex(bytes) == text).ok_or(ProofError::Malformed(what))
}

/// Returns `Ok` when two values are the same.
pub(super) fn same(holds: bool, what: &'static str) -> Result<(), ProofError> {
    if holds { Ok(()) } else { Err(ProofError::Mismatch(what)) }
}

/// Checks what no hash covers: sizes that no draw has, and a weight that means the same as none.
fn check_rules(rules: &Rules) -> Result<(), ProofError> {
    let prizes = rules.prizes.len() <= MAX_PRIZE_KINDS && rules.prizes.iter().all(|p| p.quantity <= MAX_PRIZE_QUANTITY);
    let weight = rules.visit_weight.is_none_or(|w| (MIN_VISIT_WEIGHT..=MAX_VISIT_WEIGHT).contains(&w));
    if prizes && weight && rules.alternates <= MAX_ALTERNATES { Ok(()) } else { Err(ProofError::Malformed("rules")) }
}

/// Recomputes a draw from its proof.
///
/// # Errors
/// The first thing that does not match.
pub fn verify(proof: &DrawProof) -> Result<(), ProofError> {
    if proof.algorithm != ALGORITHM {
        return Err(ProofError::Algorithm(proof.algorithm.clone()));
    }
    let seed: Hash = digest_of(&proof.seed, "seed")?;
    check_rules(&proof.rules)?;
    let leaves = leaves_of(&proof.leaves)?;
    let prizes = to_prizes(&proof.rules.prizes);
    same(hex(&commitment(&seed)) == proof.commitment, "commitment")?;
    same(leaves.len() as u64 == proof.count, "count")?;
    same(hex(&merkle_root(&leaves)) == proof.merkle_root, "merkleRoot")?;
    let root = root(proof.event_id, &leaves, &prizes, proof.rules.visit_weight);
    same(hex(&root) == proof.root, "root")?;
    let key = key_of(proof)?;
    let picks = pick(&key, &leaves, places(&prizes).len(), proof.rules.alternates as usize);
    same(proved_winners(&proof.rules.prizes, &picks.winners) == proof.winners, "winners")?;
    same(picks.alternates == proof.alternates, "alternates")
}

/// Computes the key that the winners were picked with.
///
/// # Errors
/// Seed, external or root is not 64 lowercase hex digits.
pub fn key_of(proof: &DrawProof) -> Result<Hash, ProofError> {
    let (seed, root) = (digest_of(&proof.seed, "seed")?, digest_of(&proof.root, "root")?);
    let external = proof.external.as_deref().map(|e| digest_of(e, "external")).transpose()?;
    Ok(key(&seed, proof.event_id, &root, external.as_ref().map_or(&[], |e| e.as_slice()), proof.round))
}
