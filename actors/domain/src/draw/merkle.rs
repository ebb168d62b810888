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

/// The whole tree (RFC 6962): levels from the leaves up, a last one without a neighbour standing for itself above.
#[derive(Clone, Debug)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of an event's leaves, by number.
    #[must_use]
    pub fn of(leaves: &[Leaf]) -> Self {
        let mut level: Vec<Hash> = leaves.iter().map(leaf_hash).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                alone => alone[0],
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The root; of no entries, SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first().copied()).unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// The audit path of the leaf at `index` (from 0), from the leaf up. `None` when there is no such leaf.
    #[must_use]
    pub fn path(&self, mut index: usize) -> Option<Vec<Hash>> {
        self.levels.first()?.get(index)?;
        let mut path = Vec::new();
        for level in &self.levels {
            path.extend(level.get(index ^ 1));
            index /= 2;
        }
        Some(path)
    }
}

/// The root of the tree; of no entries, SHA-256 of nothing.
#[must_use]
pub fn merkle_root(leaves: &[Leaf]) -> Hash {
    Tree::of(leaves).root()
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
