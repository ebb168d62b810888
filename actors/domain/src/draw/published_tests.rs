use super::*;
use crate::draw::tests::{proof_for, proof_of};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn at(micros: i64) -> Instant {
    chrono::DateTime::from_timestamp_micros(1_800_000_000_000_000 + micros).unwrap()
}

/// A file as the server makes it, after the entries at these places of the list of the drawn passed theirs on.
fn file_of(
    weights: &[u32],
    quantities: &[u32],
    alternates: u32,
    external: Option<Hash>,
    gone: &[usize],
) -> PublishedDraw {
    let mut proof = proof_of(weights, quantities, alternates, external, [1; 32]);
    proof.rules.alternates = proof.alternates.len() as u32;
    let drawn: Vec<u64> = proof.winners.iter().map(|w| w.entry_no).chain(proof.alternates.iter().copied()).collect();
    let mut passed_on: Vec<PassedOn> = Vec::new();
    for place in gone {
        let Some(entry_no) = drawn.get(*place).copied() else { continue };
        if passed_on.iter().all(|p| p.entry_no != entry_no) {
            let why = PassedOnWhy::ALL[place % 4];
            passed_on.push(PassedOn { entry_no, why, at: at(*place as i64) });
        }
    }
    let numbers: Vec<u64> = passed_on.iter().map(|p| p.entry_no).collect();
    let holders = holders_after(&proof, &numbers).unwrap();
    PublishedDraw::new(proof, holders, passed_on).unwrap()
}

/// The same draw as a file of before.
fn older(file: &PublishedDraw) -> Value {
    let mut file = json!(file);
    let all = file.as_object_mut().unwrap();
    for new in ["key", "passedOn", "passedOnHash"] {
        all.remove(new);
    }
    for holder in all["holders"].as_array_mut().unwrap() {
        holder["maskedPhone"] = json!("010-****-1234");
    }
    file
}

fn check(file: &Value) -> Result<FileFormat, String> {
    let read: PublishedDraw = serde_json::from_value(file.clone()).map_err(|e| e.to_string())?;
    verify_published(&read).map_err(|e| e.to_string())
}

/// The path of every value that is neither list nor object.
fn leaves_of(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(all) => all.iter().for_each(|(name, v)| leaves_of(v, &format!("{at}/{name}"), found)),
        Value::Array(all) => all.iter().enumerate().for_each(|(i, v)| leaves_of(v, &format!("{at}/{i}"), found)),
        _ => found.push(at.to_owned()),
    }
}

/// Other values that somebody could put in the place of one.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(n) => {
            let n = n.as_u64().unwrap();
            [Some(n + 1), n.checked_sub(1), Some(n * 2 + 7)]
                .into_iter()
                .flatten()
                .map(|n| json!(n))
                .chain([Value::Null])
                .collect()
        }
        Value::String(text) => {
            let flipped: String = text
                .chars()
                .enumerate()
                .map(|(i, c)| if i == 2 { if c == '1' { '2' } else { '1' } } else { c })
                .collect();
            let mut all = vec![json!(format!("{text}1")), json!(flipped), json!(""), Value::Null, json!(7)];
            all.extend([text.to_uppercase()].into_iter().filter(|upper| upper != text).map(Value::from));
            all.extend(
                PassedOnWhy::parse(text).map(|_| PassedOnWhy::ALL.iter().map(|why| json!(why))).into_iter().flatten(),
            );
            let instant = text.parse::<Instant>().ok();
            let later = [chrono::Duration::seconds(1), chrono::Duration::nanoseconds(1)];
            all.extend(instant.into_iter().flat_map(|at| later.map(|more| json!(at + more))));
            all
        }
        Value::Null => vec![json!("ab".repeat(32)), json!(1), json!(2), json!(3), json!("010-****-1234")],
        other => vec![json!(other != &json!(true))],
    }
}

/// Changes each value of a file in turn; those changes that went unnoticed, by the path without its numbers.
fn unnoticed(file: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    leaves_of(file, "", &mut paths);
    let mut missed = Vec::new();
    for path in paths {
        let before = file.pointer(&path).unwrap().clone();
        for other in others(&before).into_iter().filter(|other| *other != before) {
            let mut changed = file.clone();
            *changed.pointer_mut(&path).unwrap() = other;
            if check(&changed).is_ok() {
                missed
                    .push(path.split('/').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join("/"));
            }
        }
    }
    missed.sort_unstable();
    missed.dedup();
    missed
}

#[test]
fn a_file_says_who_holds_the_prizes_and_how_that_follows() {
    let file = file_of(&[1, 3, 0, 1, 1, 3, 1, 1], &[1, 2], 3, Some([9; 32]), &[1, 3, 0]);
    assert_eq!(verify_published(&file), Ok(FileFormat::Current));
    let text = serde_json::to_string(&file).unwrap();
    assert!(!text.contains("Phone"), "no phone, masked or not: {text}");
    let drawn: Vec<u64> = file.proof.winners.iter().map(|w| w.entry_no).collect();
    let second = &file.proof.alternates;
    let held: Vec<u64> = file.holders.as_ref().unwrap().iter().map(|h| h.entry_no).collect();
    // The second winner's prize went to the first alternate and from there to the second; the first winner's to the third.
    assert_eq!(held, [second[2], second[1], drawn[2]]);
    let numbers: Vec<u64> = drawn.iter().chain(second).copied().collect();
    assert!(holders_after(&file.proof, &numbers).unwrap().is_empty(), "nobody is left");
    assert!(holders_after(&file.proof, &[drawn[0], drawn[0]]).is_err(), "once each");
    assert!(holders_after(&file.proof, &[999]).is_err(), "only those who were drawn");
}

#[test]
fn other_holders_another_order_and_unknown_fields_are_refused() {
    let good = json!(file_of(&[1; 9], &[2], 3, None, &[0, 1]));
    assert_eq!(check(&good), Ok(FileFormat::Current));
    type Tamper = fn(&mut Value);
    let tampers: [(&str, Tamper); 9] = [
        ("order of what was passed on", |f| f["passedOn"].as_array_mut().unwrap().swap(0, 1)),
        ("passed on once more", |f| {
            let again = f["passedOn"][0].clone();
            f["passedOn"].as_array_mut().unwrap().push(again);
        }),
        ("one passed on less", |f| {
            f["passedOn"].as_array_mut().unwrap().pop();
        }),
        ("a holder less", |f| {
            f["holders"].as_array_mut().unwrap().pop();
        }),
        ("order of holders", |f| f["holders"].as_array_mut().unwrap().swap(0, 1)),
        ("a phone", |f| f["holders"][0]["maskedPhone"] = json!("010-****-1234")),
        ("a field that nobody knows", |f| f["note"] = json!("Kim wins")),
        ("the same within", |f| f["rules"]["note"] = json!(1)),
        ("what was passed on left out", |f| {
            f.as_object_mut().unwrap().remove("passedOn");
        }),
    ];
    for (what, tamper) in tampers {
        let mut bad = good.clone();
        tamper(&mut bad);
        assert!(check(&bad).is_err(), "{what} went unnoticed");
    }
    let mut text = good.to_string();
    text.insert_str(1, "\"round\":1,");
    assert!(serde_json::from_str::<PublishedDraw>(&text).is_err(), "a name twice");
}

/// A weight that the rules do not name was given by the server, not by a visit. Files of before, of which one test vector is,
/// are read as they are.
#[test]
fn weights_are_those_of_the_rules() {
    for (weights, good) in [([1, 3, 0, 1], true), ([1, 2, 0, 1], false), ([1, 3, 0, 10], false)] {
        let mut proof = proof_of(&weights, &[1], 1, None, [1; 32]);
        proof.rules.alternates = proof.alternates.len() as u32;
        assert_eq!(verify(&proof), Ok(()), "{weights:?}");
        let holders = holders_after(&proof, &[]).unwrap();
        let file = PublishedDraw::new(proof, holders, Vec::new()).unwrap();
        let expected = if good { Ok(FileFormat::Current) } else { Err(ProofError::Mismatch("leaves")) };
        assert_eq!(verify_published(&file), expected, "{weights:?}");
    }
}

/// The draw of an event that was made at this second.
fn file_made_at(seconds: u64) -> Value {
    let made = uuid::Timestamp::from_unix_time(seconds, 0, 0, 0);
    let mut proof = proof_for(EventId(Uuid::new_v7(made)), &[1; 9], &[2], 3, None, [1; 32]);
    proof.rules.alternates = proof.alternates.len() as u32;
    let gone = proof.winners[0].entry_no;
    let holders = holders_after(&proof, &[gone]).unwrap();
    let passed_on = vec![PassedOn { entry_no: gone, why: PassedOnWhy::Erased, at: at(0) }];
    json!(PublishedDraw::new(proof, holders, passed_on).unwrap())
}

/// The kind "a file that was cut down": a file has all its parts or verifies as none of today. Where its event is so young
/// that no file of before can be of it, it does not verify at all.
#[test]
fn a_file_with_something_missing_is_refused() {
    assert_eq!(at(0).timestamp(), 1_800_000_000, "what is passed on, is so after the event was made");
    let all = ["key", "holders", "passedOn", "passedOnHash", "says"];
    for (made, older_may_be) in [(COMPLETE_SINCE - 1, true), (COMPLETE_SINCE, false), (COMPLETE_SINCE + 9_999, false)] {
        let good = file_made_at(made);
        for kept in 0..32u32 {
            let mut file = good.clone();
            for (bit, name) in all.iter().enumerate() {
                if kept & (1 << bit) == 0 {
                    file.as_object_mut().unwrap().remove(*name);
                }
            }
            match kept {
                31 => assert_eq!(check(&file), Ok(FileFormat::Current)),
                // With none of them it is the proof alone.
                0 if older_may_be => assert_eq!(check(&file), Ok(FileFormat::Older)),
                _ => {
                    let why = check(&file).unwrap_err();
                    assert!(why.contains("is missing"), "{made} {kept:05b}: {why}");
                }
            }
        }
        let before = check(&older(&serde_json::from_value(good).unwrap()));
        assert_eq!(before.ok(), older_may_be.then_some(FileFormat::Older), "{made}");
    }
}

/// A file of before had its words, and its holders their phones.
#[test]
fn a_file_of_before_has_holders_and_words() {
    let good = older(&file_of(&[1; 9], &[1, 1], 2, None, &[0]));
    assert_eq!(check(&good), Ok(FileFormat::Older));
    for name in ["holders", "says"] {
        let mut file = good.clone();
        file.as_object_mut().unwrap().remove(name);
        assert_eq!(check(&file), Err(ProofError::Missing(name).to_string()));
    }
    let mut file = good.clone();
    file["holders"][0].as_object_mut().unwrap().remove("maskedPhone");
    assert_eq!(check(&file), Err(ProofError::Missing("passedOn").to_string()));
}

/// The hash covers microseconds: no second spelling of an instant goes unnoticed.
#[test]
fn instants_have_microseconds() {
    let good = json!(file_of(&[1; 9], &[2], 3, None, &[0]));
    let at = good["passedOn"][0]["at"].as_str().unwrap().trim_end_matches('Z').to_owned();
    for (other, holds) in
        [(format!("{at}Z"), true), (format!("{at}.0000001Z"), false), (format!("{at}.000000001Z"), false)]
    {
        let mut file = good.clone();
        file["passedOn"][0]["at"] = json!(other);
        assert_eq!(check(&file).is_ok(), holds, "{other}");
    }
    // 23:59:60 is the instant of 00:00:00 to the hash.
    let midnight: Instant = "2027-01-16T00:00:00Z".parse().unwrap();
    let mut file = file_of(&[1; 9], &[2], 3, None, &[0]);
    file.passed_on.as_mut().unwrap()[0].at = midnight;
    let root = digest_of(&file.proof.root, "root").unwrap();
    file.passed_on_hash = Some(hex(&passed_on_hash(&root, file.passed_on.as_ref().unwrap())));
    let mut file = json!(file);
    assert_eq!(check(&file), Ok(FileFormat::Current));
    file["passedOn"][0]["at"] = json!("2027-01-15T23:59:60Z");
    assert!(check(&file).is_err());
}

/// In older files nothing proves the masked phones, nor which of those drawn moved up; and where fewer entered than were
/// asked for, how many alternates were asked for. Without a key, the random number and the round of a draw in which
/// everybody wins change nothing.
#[test]
fn files_of_before_verify_as_such() {
    let file = older(&file_of(&[1; 9], &[1, 1], 2, Some([7; 32]), &[0]));
    assert_eq!(check(&file), Ok(FileFormat::Older));
    let missed = unnoticed(&file);
    let meant = |path: &String| ["/holders/entryNo", "/holders/maskedPhone"].contains(&path.as_str());
    assert!(missed.iter().all(meant), "{missed:?}");
    let mut moved = file.clone();
    moved["holders"][0]["entryNo"] = file["winners"][1]["entryNo"].clone();
    assert!(check(&moved).is_err(), "a winner holds no other prize");
    let proof = proof_of(&[1; 9], &[2], 2, None, [3; 32]);
    assert_eq!(check(&json!(proof)), Ok(FileFormat::Older), "a proof alone");
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for vector in vectors.as_array().unwrap() {
        assert_eq!(check(vector), Ok(FileFormat::Older));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// The kind "what `draw verify` calls verified": whichever one value of a file of today is changed, it is refused. There
    /// is no value without a meaning.
    #[test]
    fn any_one_changed_value_is_found(
        weights in prop::collection::vec(prop_oneof![Just(0u32), Just(1), Just(3)], 0..8),
        quantities in prop::collection::vec(1u32..3, 1..3), alternates in 0u32..4,
        external in any::<Option<Hash>>(), gone in prop::collection::vec(0usize..6, 0..5),
    ) {
        let file = file_of(&weights, &quantities, alternates, external, &gone);
        prop_assert_eq!(verify_published(&file), Ok(FileFormat::Current));
        prop_assert_eq!(unnoticed(&json!(file)), Vec::<String>::new());
    }

    #[test]
    fn written_anew_it_verifies(alternates in 0u32..4, gone in prop::collection::vec(0usize..6, 0..5)) {
        let file = file_of(&[1, 3, 1, 1, 0, 1], &[2], alternates, None, &gone);
        let pretty = serde_json::to_string_pretty(&json!(file)).unwrap();
        prop_assert_eq!(serde_json::from_str::<PublishedDraw>(&pretty).unwrap(), file);
    }
}
