//! The public file of a draw: its proof, who holds the prizes now, and how that follows. It holds no phone.
//!
//! `holders` follow from winners, alternates and `passedOn`, in order: whoever passes a prize on is followed by the first
//! alternate who still waits. Two values hold the file together where nothing else does: `key`, the draw's key, and
//! `passedOnHash = SHA-256(0x03 ‖ root ‖ for each: entryNo u64 ‖ why (length u8 ‖ UTF-8) ‖ at in microseconds i64)`.
//! The server alone knows why and when a prize was passed on, so the hash shows that nobody altered one value of the
//! file; it does not prove what the server says.

use super::Hash;
use super::proof::{DrawProof, ProofError, ProvedWinner, Rules, WireLeaf, digest_of, key_of, same, verify};
use crate::channel::codes;
use crate::event::state::hex;
use crate::ids::EventId;
use crate::time::Instant;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

codes! {
    /// Why a prize, or a place among the alternates, was passed on.
    PassedOnWhy {
        /// The customer erased the entry.
        Erased = "erased",
        /// The winner declined.
        Declined = "declined",
        /// The last day to claim passed.
        Expired = "expired",
        /// The owner took it back.
        Forfeited = "forfeited",
    }
}

/// A prize, or a place among the alternates, that was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassedOn {
    /// Number of the entry that had it.
    pub entry_no: u64,
    /// Why.
    pub why: PassedOnWhy,
    /// When, to the microsecond.
    pub at: Instant,
}

/// A prize and its present holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holder {
    /// Name of the prize.
    pub prize: String,
    /// Rank of the prize, 1, 2, 3 … over all prizes.
    pub rank: u32,
    /// Number of the entry that holds it.
    pub entry_no: u64,
    /// Only files of before have it, null once it was erased.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub masked_phone: Option<Option<String>>,
}

/// What the proof shows and what it does not, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Says {
    /// In Korean.
    pub ko: String,
    /// In English.
    pub en: String,
}

/// The body of `GET /api/participation/events/{slug}/draw`, of today or of before. Unknown fields are refused: nobody
/// would know whether they are true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "Wire")]
pub struct PublishedDraw {
    /// The proof of the draw.
    #[serde(flatten)]
    pub proof: DrawProof,
    /// The key the winners were picked with, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The present holders of the prizes, by rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<Holder>>,
    /// What was passed on, in order. Files of before lack it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_on: Option<Vec<PassedOn>>,
    /// [`passed_on_hash`], hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_on_hash: Option<String>,
    /// What it proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<Says>,
}

/// A file as it is read: flat, because only so are unknown fields found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    algorithm: String,
    #[serde(deserialize_with = "plain_id")]
    event_id: EventId,
    round: u32,
    commitment: String,
    seed: String,
    external: Option<String>,
    root: String,
    merkle_root: String,
    count: u64,
    rules: Rules,
    leaves: Vec<WireLeaf>,
    winners: Vec<ProvedWinner>,
    alternates: Vec<u64>,
    #[serde(default, deserialize_with = "present")]
    key: Option<String>,
    #[serde(default, deserialize_with = "present")]
    holders: Option<Vec<Holder>>,
    #[serde(default, deserialize_with = "present")]
    passed_on: Option<Vec<PassedOn>>,
    #[serde(default, deserialize_with = "present")]
    passed_on_hash: Option<String>,
    #[serde(default, deserialize_with = "present")]
    says: Option<Says>,
}

impl From<Wire> for PublishedDraw {
    fn from(w: Wire) -> Self {
        let proof = DrawProof {
            algorithm: w.algorithm,
            event_id: w.event_id,
            round: w.round,
            commitment: w.commitment,
            seed: w.seed,
            external: w.external,
            root: w.root,
            merkle_root: w.merkle_root,
            count: w.count,
            rules: w.rules,
            leaves: w.leaves,
            winners: w.winners,
            alternates: w.alternates,
        };
        Self {
            proof,
            key: w.key,
            holders: w.holders,
            passed_on: w.passed_on,
            passed_on_hash: w.passed_on_hash,
            says: w.says,
        }
    }
}

/// Reads a field that may be left out, and may not be null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// Reads an id in its usual spelling only.
fn plain_id<'de, D: Deserializer<'de>>(d: D) -> Result<EventId, D::Error> {
    let text = String::deserialize(d)?;
    let id: Option<EventId> = text.parse().ok();
    id.filter(|id| id.to_string() == text).ok_or_else(|| D::Error::custom("eventId is not a UUID in lower case"))
}

/// Unix seconds of 2026-12-01T00:00Z. A file of an event that was made since then has all its parts.
const COMPLETE_SINCE: u64 = 1_796_083_200;

/// Which format a file is of, once it has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Everything in it is checked.
    Current,
    /// Only the draw is checked. Nothing shows what was passed on, who of those drawn holds a prize now, and the masked
    /// phones. Whoever cuts down a file of an older event makes such a file.
    Older,
}

/// What a file has beyond its proof.
enum Parts<'a> {
    /// What a file of today has.
    All { holders: &'a [Holder], passed_on: &'a [PassedOn], hash: &'a str },
    /// What a file of before has.
    Before(&'a [Holder]),
    /// Nothing.
    ProofAlone,
}

/// Returns true if the event was made when files had all their parts. The root covers the id, and the id its time: nobody
/// can make a newer draw look older.
fn must_be_complete(event: EventId) -> bool {
    event.0.get_timestamp().is_some_and(|made| made.to_unix().0 >= COMPLETE_SINCE)
}

/// Sorts a file by its parts. One part of today's demands all others; files of before have `holders` and `says`, or neither.
fn parts(draw: &PublishedDraw) -> Result<Parts<'_>, ProofError> {
    let PublishedDraw { proof, key, holders, passed_on, passed_on_hash: hash, says } = draw;
    let of_today = key.is_some() || passed_on.is_some() || hash.is_some();
    if of_today || must_be_complete(proof.event_id) {
        key.as_ref().ok_or(ProofError::Missing("key"))?;
        says.as_ref().ok_or(ProofError::Missing("says"))?;
        return Ok(Parts::All {
            holders: holders.as_ref().ok_or(ProofError::Missing("holders"))?,
            passed_on: passed_on.as_ref().ok_or(ProofError::Missing("passedOn"))?,
            hash: hash.as_ref().ok_or(ProofError::Missing("passedOnHash"))?,
        });
    }
    match (holders, says) {
        (Some(holders), Some(_)) => Ok(Parts::Before(holders)),
        (None, None) => Ok(Parts::ProofAlone),
        (None, Some(_)) => Err(ProofError::Missing("holders")),
        (Some(_), None) => Err(ProofError::Missing("says")),
    }
}

impl PublishedDraw {
    /// Puts the public file together.
    ///
    /// # Errors
    /// The proof's own hashes are malformed.
    pub fn new(proof: DrawProof, holders: Vec<Holder>, passed_on: Vec<PassedOn>) -> Result<Self, ProofError> {
        let key = key_of(&proof)?;
        let root = digest_of(&proof.root, "root")?;
        Ok(Self {
            key: Some(hex(&key)),
            holders: Some(holders),
            passed_on_hash: Some(hex(&passed_on_hash(&root, &passed_on))),
            passed_on: Some(passed_on),
            says: Some(says(proof.external.is_none())),
            proof,
        })
    }
}

/// Hashes what was passed on, bound to the draw's root.
#[must_use]
pub fn passed_on_hash(root: &Hash, passed_on: &[PassedOn]) -> Hash {
    let mut h = Sha256::new();
    h.update([0x03]);
    h.update(root);
    for p in passed_on {
        let why = p.why.code();
        h.update(p.entry_no.to_be_bytes());
        h.update([u8::try_from(why.len()).unwrap_or(u8::MAX)]);
        h.update(why.as_bytes());
        h.update(p.at.timestamp_micros().to_be_bytes());
    }
    h.finalize().into()
}

/// Says what the proof proves, and no more. The words are part of every file: files of before have the same.
#[must_use]
pub fn says(without_external: bool) -> Says {
    let (mut ko, mut en) = (
        "이 증명은 마감 때 공개한 목록과 규칙, 미리 약속한 난수로 당첨자를 뽑았음을 보여 줍니다. 사장님과 운영자가 함께 짰거나 같은 사람일 가능성과, 지어낸 전화번호는 증명하지 못합니다.".to_owned(),
        "It shows that the winners follow from the list and rules published at the close and from a number promised before. It does not exclude that owner and operator acted together or are the same person, nor invented phone numbers.".to_owned(),
    );
    if without_external {
        ko.push_str(
            " 이 추첨에는 사장님의 난수가 쓰이지 않아, 서버를 운영하는 쪽은 마감 때 결과를 미리 알 수 있었습니다.",
        );
        en.push_str(" No number of the owner's went into this draw: whoever runs the server could know the result at the close.");
    }
    Says { ko, en }
}

/// Computes who holds the prizes after these numbers passed theirs on, in order.
///
/// # Errors
/// One of them held neither a prize nor a place among the alternates.
pub fn holders_after(proof: &DrawProof, passed_on: &[u64]) -> Result<Vec<Holder>, ProofError> {
    let mut places: Vec<Option<u64>> = proof.winners.iter().map(|w| Some(w.entry_no)).collect();
    let mut held: HashMap<u64, usize> = proof.winners.iter().enumerate().map(|(i, w)| (w.entry_no, i)).collect();
    let mut waiting: VecDeque<u64> = proof.alternates.iter().copied().collect();
    for gone in passed_on {
        if let Some(place) = held.remove(gone) {
            places[place] = waiting.pop_front();
            held.extend(places[place].map(|next| (next, place)));
        } else if let Some(at) = waiting.iter().position(|n| n == gone) {
            waiting.remove(at);
        } else {
            return Err(ProofError::Mismatch("passedOn"));
        }
    }
    let holder = |(w, place): (&ProvedWinner, Option<u64>)| {
        place.map(|entry_no| Holder { prize: w.prize.clone(), rank: w.rank, entry_no, masked_phone: None })
    };
    Ok(proof.winners.iter().zip(places).filter_map(holder).collect())
}

/// Recomputes everything in a published file that people read.
///
/// # Errors
/// The first thing that does not match.
pub fn verify_published(draw: &PublishedDraw) -> Result<FileFormat, ProofError> {
    let PublishedDraw { proof, key, says: words, .. } = draw;
    verify(proof)?;
    if let Some(key) = key {
        same(hex(&key_of(proof)?) == *key, "key")?;
    }
    if let Some(words) = words {
        same(*words == says(proof.external.is_none()), "says")?;
    }
    match parts(draw)? {
        Parts::All { holders, passed_on, hash } => {
            verify_current(proof, holders, passed_on, hash).map(|()| FileFormat::Current)
        }
        Parts::Before(holders) => verify_older(proof, holders).map(|()| FileFormat::Older),
        Parts::ProofAlone => Ok(FileFormat::Older),
    }
}

/// Checks what a file of today says beyond its proof.
fn verify_current(proof: &DrawProof, holders: &[Holder], passed_on: &[PassedOn], hash: &str) -> Result<(), ProofError> {
    same(proof.rules.alternates as usize == proof.alternates.len(), "rules.alternates")?;
    // The root covers the weights as they are; only the rules say which there may be.
    let bonus = proof.rules.visit_weight.map_or(1, u32::from);
    same(proof.leaves.iter().all(|(weight, _)| *weight <= 1 || *weight == bonus), "leaves")?;
    // The hash covers microseconds: what is finer, and a leap second, is not read.
    let mut nanos = passed_on.iter().map(|p| p.at.timestamp_subsec_nanos());
    if nanos.any(|nanos| nanos >= 1_000_000_000 || nanos % 1_000 != 0) {
        return Err(ProofError::Malformed("passedOn"));
    }
    let numbers: Vec<u64> = passed_on.iter().map(|p| p.entry_no).collect();
    same(holders_after(proof, &numbers)? == *holders, "holders")?;
    let root = digest_of(&proof.root, "root")?;
    same(*hash == hex(&passed_on_hash(&root, passed_on)), "passedOnHash")
}

/// Checks the holders of a file of before: each rank once, with its prize, by its winner or an alternate.
fn verify_older(proof: &DrawProof, holders: &[Holder]) -> Result<(), ProofError> {
    // A file of today from which somebody took `passedOn` is none of before: those have phones, if only null.
    if holders.iter().any(|h| h.masked_phone.is_none()) {
        return Err(ProofError::Missing("passedOn"));
    }
    let ranks = holders.windows(2).all(|pair| pair[0].rank < pair[1].rank);
    let mut once = std::collections::HashSet::new();
    let drawn = holders.iter().all(|h| {
        let won = proof.winners.get((h.rank as usize).wrapping_sub(1));
        let entitled = |w: &ProvedWinner| w.entry_no == h.entry_no || proof.alternates.contains(&h.entry_no);
        once.insert(h.entry_no) && won.is_some_and(|w| w.prize == h.prize && entitled(w))
    });
    same(ranks && drawn, "holders")
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
