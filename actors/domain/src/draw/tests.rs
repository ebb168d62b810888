use super::proof::{RulePrize, Rules, proved_winners};
use super::*;
use crate::event::state::hex;
use proptest::prelude::*;
use uuid::Uuid;

fn leaves(weights: &[u32]) -> Vec<Leaf> {
    weights
        .iter()
        .zip(1u64..)
        .map(|(w, n)| Leaf { entry_no: n, weight: *w, receipt_hash: Sha256::digest(format!("receipt-{n}")).into() })
        .collect()
}

fn event() -> EventId {
    EventId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

fn prizes(quantities: &[u32]) -> Vec<Prize> {
    quantities
        .iter()
        .zip(1..)
        .map(|(q, i)| Prize { name: format!("경품 {i}"), quantity: *q, unit_value_won: 0 })
        .collect()
}

pub(super) fn proof_of(
    weights: &[u32],
    quantities: &[u32],
    alternates: u32,
    external: Option<Hash>,
    seed: Hash,
) -> DrawProof {
    proof_for(event(), weights, quantities, alternates, external, seed)
}

pub(super) fn proof_for(
    event: EventId,
    weights: &[u32],
    quantities: &[u32],
    alternates: u32,
    external: Option<Hash>,
    seed: Hash,
) -> DrawProof {
    let (leaves, prizes) = (leaves(weights), prizes(quantities));
    let root = root(event, &leaves, &prizes, Some(3));
    let key = key(&seed, event, &root, external.as_ref().map_or(&[], |e| e.as_slice()), 1);
    let picks = pick(&key, &leaves, places(&prizes).len(), alternates as usize);
    let rule_prizes: Vec<RulePrize> =
        prizes.iter().map(|p| RulePrize { name: p.name.clone(), quantity: p.quantity }).collect();
    DrawProof {
        algorithm: ALGORITHM.into(),
        event_id: event,
        round: 1,
        commitment: hex(&commitment(&seed)),
        seed: hex(&seed),
        external: external.map(|e| hex(&e)),
        root: hex(&root),
        merkle_root: hex(&merkle_root(&leaves)),
        count: leaves.len() as u64,
        winners: proved_winners(&rule_prizes, &picks.winners),
        rules: Rules { prizes: rule_prizes, visit_weight: Some(3), alternates },
        leaves: leaves.iter().map(|l| (l.weight, hex(&l.receipt_hash))).collect(),
        alternates: picks.alternates,
    }
}

/// The vectors of `vectors.json`, computed once by an independent implementation (see `vectors.py` beside it).
#[test]
fn test_vectors() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let cases = vectors.as_array().unwrap();
    assert!(cases.len() >= 5);
    for case in cases {
        let proof: DrawProof = serde_json::from_value(case.clone()).unwrap();
        verify(&proof).unwrap();
    }
}

#[test]
fn rfc_6962_empty_tree_and_any_inclusion_path() {
    assert_eq!(hex(&merkle_root(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for n in 1..=33 {
        let all = leaves(&vec![1; n]);
        let tree = Tree::of(&all);
        let root = tree.root();
        for (i, leaf) in all.iter().enumerate() {
            let path = tree.path(i).unwrap();
            assert!(verify_inclusion(leaf, i, n, &path, &root), "{i} of {n}");
            assert!(n == 1 || !verify_inclusion(leaf, (i + 1) % n, n, &path, &root), "another place must not verify");
            let other = Leaf { weight: 9, ..*leaf };
            assert!(!verify_inclusion(&other, i, n, &path, &root));
        }
        assert_eq!(tree.path(n), None);
    }
}

#[test]
fn every_tampering_is_found() {
    let good = proof_of(&[1, 3, 0, 1, 1, 3, 1], &[1, 2], 2, Some([9; 32]), [1; 32]);
    verify(&good).unwrap();
    type Tamper = fn(&mut DrawProof);
    let tampers: [(&str, Tamper); 13] = [
        ("algorithm", |p| p.algorithm = "madang-draw-0".into()),
        ("round", |p| p.round = 2),
        ("event", |p| p.event_id = EventId(Uuid::from_u128(2))),
        ("commitment", |p| p.commitment = "00".repeat(32)),
        ("seed", |p| p.seed = "11".repeat(32)),
        ("external", |p| p.external = None),
        ("root", |p| p.root = "22".repeat(32)),
        ("count", |p| p.count += 1),
        ("weight", |p| p.leaves[0].0 = 9),
        ("leaf", |p| {
            p.leaves.pop();
        }),
        ("rules", |p| p.rules.prizes[0].quantity = 2),
        ("winner", |p| p.winners[0].entry_no = 3),
        ("alternates", |p| p.alternates.reverse()),
    ];
    for (what, tamper) in tampers {
        let mut bad = good.clone();
        tamper(&mut bad);
        assert!(verify(&bad).is_err(), "{what} went unnoticed");
    }
}

/// Pearson's chi-square over 20,000 draws: 10 entries, the statistic has 9 degrees of freedom (99.9 % below 27.9).
#[test]
fn uniform_and_weighted_are_fair() {
    let trials = 20_000u32;
    let count = |weights: &[u32]| {
        let leaves = leaves(weights);
        let mut hits = vec![0f64; weights.len()];
        for i in 0..trials {
            let key: Hash = Sha256::digest(i.to_be_bytes()).into();
            hits[pick(&key, &leaves, 1, 0).winners[0] as usize - 1] += 1.0;
        }
        hits
    };
    for weights in [vec![1u32; 10], vec![1, 5, 1, 5, 1, 5, 1, 5, 1, 5]] {
        let total: u32 = weights.iter().sum();
        let chi: f64 = count(&weights)
            .iter()
            .zip(&weights)
            .map(|(hit, w)| {
                let expected = f64::from(trials) * f64::from(*w) / f64::from(total);
                (hit - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < 27.9, "{weights:?}: {chi}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn draws_hold_their_promises(
        weights in prop::collection::vec(0u32..11, 0..60), quantities in prop::collection::vec(1u32..5, 1..4),
        alternates in 0u32..10, seed in any::<Hash>(), external in any::<Option<Hash>>(),
    ) {
        let proof = proof_of(&weights, &quantities, alternates, external, seed);
        prop_assert_eq!(verify(&proof), Ok(()));
        prop_assert_eq!(&proof, &proof_of(&weights, &quantities, alternates, external, seed), "reproducible");
        let eligible = weights.iter().filter(|w| **w > 0).count();
        let wanted: u32 = quantities.iter().sum();
        prop_assert_eq!(proof.winners.len(), eligible.min(wanted as usize));
        prop_assert!(proof.alternates.len() <= alternates as usize);
        let mut numbers: Vec<u64> = proof.winners.iter().map(|w| w.entry_no).chain(proof.alternates.iter().copied()).collect();
        prop_assert!(numbers.iter().all(|n| weights[*n as usize - 1] > 0), "no void entry wins");
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), proof.winners.len() + proof.alternates.len(), "nobody twice");
        let text = serde_json::to_string(&proof).unwrap();
        prop_assert_eq!(serde_json::from_str::<DrawProof>(&text).unwrap(), proof);
    }

    #[test]
    fn more_alternates_never_change_the_winners(weights in prop::collection::vec(1u32..4, 1..40), key in any::<Hash>(), n in 1usize..10) {
        let leaves = leaves(&weights);
        prop_assert_eq!(pick(&key, &leaves, n, 0).winners, pick(&key, &leaves, n, 20).winners);
    }
}
