//! The RFC 6962 Merkle tree over the entries by number.

use super::{Hash, Leaf};
use sha2::{Digest, Sha256};

/// SHA-256(0x00 ‖ entryNo u64 ‖ weight u32 ‖ SHA-256(receipt)).
#[must_use]
pub fn leaf_hash(leaf: &Leaf) -> Hash {
    let mut h = Sha256::new();
    h.update([0x00]);
    h.update(leaf.entry_no.to_be_bytes());
    h.update(leaf.weight.to_be_bytes());
    h.update(leaf.receipt_hash);
    h.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut h = Sha256::new();
    h.update([0x01]);
    h.update(left);
    h.update(right);
    h.finalize().into()
}

/// The root of the tree; of no entries, SHA-256 of nothing.
#[must_use]
pub fn merkle_root(leaves: &[Leaf]) -> Hash {
    let hashes: Vec<Hash> = leaves.iter().map(leaf_hash).collect();
    subtree(&hashes)
}

fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            node(&subtree(left), &subtree(right))
        }
    }
}

/// The largest power of two below `n` (n ≥ 2).
fn split(n: usize) -> usize {
    (n.next_power_of_two() / 2).max(1)
}

/// The audit path of the leaf at `index` (from 0), from the leaf up. `None` when there is no such leaf.
#[must_use]
pub fn inclusion_path(leaves: &[Leaf], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let hashes: Vec<Hash> = leaves.iter().map(leaf_hash).collect();
    let mut path = Vec::new();
    descend(&hashes, index, &mut path);
    Some(path)
}

fn descend(hashes: &[Hash], index: usize, path: &mut Vec<Hash>) {
    if hashes.len() < 2 {
        return;
    }
    let k = split(hashes.len());
    if index < k {
        descend(&hashes[..k], index, path);
        path.push(subtree(&hashes[k..]));
    } else {
        descend(&hashes[k..], index - k, path);
        path.push(subtree(&hashes[..k]));
    }
}

/// Does the path lead from the leaf at `index` of `count` to the tree's root (RFC 9162, 2.1.3.2)?
#[must_use]
pub fn verify_inclusion(leaf: &Leaf, index: usize, count: usize, path: &[Hash], tree_root: &Hash) -> bool {
    if index >= count {
        return false;
    }
    let (mut f, mut s) = (index, count - 1);
    let mut r = leaf_hash(leaf);
    for p in path {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            r = node(p, &r);
            while f & 1 == 0 && f != 0 {
                f >>= 1;
                s >>= 1;
            }
        } else {
            r = node(&r, p);
        }
        f >>= 1;
        s >>= 1;
    }
    s == 0 && r == *tree_root
}
