//! `madang draw verify`: a published draw, recomputed offline from nothing but its file.

use domain::draw::{FileFormat, PublishedDraw, verify_published};
use std::path::Path;

/// Verifies a file; what it says when everything matches.
///
/// # Errors
/// Why it cannot be read, or what does not match, in one line.
pub(crate) fn verify(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    verify_text(&text).map_err(|e| match e {
        Refused::Unreadable(e) => format!("{} is not a draw's proof: {e}", file.display()),
        Refused::Wrong(e) => format!("the draw does NOT verify: {e}"),
    })
}

/// Why a file was refused.
enum Refused {
    /// It is no file of a draw, or has something in it that nothing proves.
    Unreadable(String),
    /// Something does not match.
    Wrong(String),
}

fn verify_text(text: &str) -> Result<String, Refused> {
    // Editors of Windows put a mark before the text.
    let draw: PublishedDraw =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| Refused::Unreadable(e.to_string()))?;
    let format = verify_published(&draw).map_err(|e| Refused::Wrong(e.to_string()))?;
    Ok(said(&draw, format))
}

/// Says line by line what was checked, and what was not. Only a file of which everything is checked says `verified`; any
/// other says in its first line that it is older, and what nothing shows.
fn said(draw: &PublishedDraw, format: FileFormat) -> String {
    let (proof, prizes) = (&draw.proof, &draw.proof.rules.prizes);
    let checked = if format == FileFormat::Current { "verified" } else { "checked" };
    let listed: Vec<String> = prizes.iter().map(|p| format!("{} x {}", p.name, p.quantity)).collect();
    let mut lines: Vec<String> = not_covered(draw, format).into_iter().collect();
    lines.push(format!(
        "{checked}: {} winner(s) and {} alternate(s) of {} entries follow from the proof",
        proof.winners.len(),
        proof.alternates.len(),
        proof.count
    ));
    lines.push(format!(
        "{checked}: prizes and quantities ({}), their ranks, all counts, the commitment and the list",
        listed.join(", ")
    ));
    match (format, &draw.holders, &draw.passed_on) {
        (FileFormat::Current, Some(holders), Some(passed_on)) => lines.push(format!(
            "verified: the {} holder(s) follow from winners, alternates and {} passed on",
            holders.len(),
            passed_on.len()
        )),
        (_, Some(holders), _) => {
            lines.push(format!("checked: prize and rank of {} holder(s), and that they were drawn", holders.len()));
        }
        _ => {}
    }
    if proof.external.is_none() {
        lines.push("note: the owner sent no random bytes of their own, so the operator alone knew the seed".into());
    }
    lines.join("\n")
}

/// Says what nothing in a file of before shows; `None` of a file of today.
fn not_covered(draw: &PublishedDraw, format: FileFormat) -> Option<String> {
    match (format, &draw.holders) {
        (FileFormat::Current, _) => None,
        (FileFormat::Older, Some(holders)) => Some(format!(
            "older format: not covered is what was passed on, who of those drawn the {} holder(s) are now, and their masked phones",
            holders.len()
        )),
        (FileFormat::Older, None) => Some(
            "older format: not covered is who holds the prizes now and what was passed on; the file says nothing of it"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::draw::DrawProof;
    use domain::draw::published::holders_after;
    use serde_json::{Value, json};

    fn outcome(file: &Value) -> Result<String, String> {
        verify_text(&file.to_string()).map_err(|e| match e {
            Refused::Unreadable(e) | Refused::Wrong(e) => e,
        })
    }

    /// A file of today of the same draw as the second vector.
    fn today() -> Value {
        let vectors: Value = serde_json::from_str(include_str!("../../actors/domain/src/draw/vectors.json")).unwrap();
        let proof: DrawProof = serde_json::from_value(vectors[1].clone()).unwrap();
        let holders = holders_after(&proof, &[]).unwrap();
        json!(PublishedDraw::new(proof, holders, Vec::new()).unwrap())
    }

    #[test]
    fn it_says_what_was_checked() {
        let mut file = today();
        let said = outcome(&file).unwrap();
        assert!(said.contains("5 holder(s)") && !said.contains("older format"), "{said}");
        assert!(said.lines().all(|line| line.starts_with("verified: ") || line.starts_with("note: ")), "{said}");
        file["holders"][0]["prize"] = json!("자동차");
        assert!(outcome(&file).unwrap_err().contains("holders"));
        file["holders"] = json!([]);
        assert!(outcome(&file).unwrap_err().contains("holders"));
        file["title"] = json!("아무 제목");
        assert!(outcome(&file).unwrap_err().contains("title"), "nothing proves it");
    }

    /// A file that claims nothing of its format may be of before, or cut down: what it leaves open is said first.
    #[test]
    fn an_older_file_says_first_what_is_not_covered() {
        let mut file = today();
        let all = file.as_object_mut().unwrap();
        for new in ["key", "passedOn", "passedOnHash"] {
            all.remove(new);
        }
        assert!(outcome(&file).unwrap_err().contains("missing"), "holders without phones are not of before");
        for holder in file["holders"].as_array_mut().unwrap() {
            holder["maskedPhone"] = Value::Null;
        }
        let mut alone = file.clone();
        for rest in ["holders", "says"] {
            alone.as_object_mut().unwrap().remove(rest);
        }
        for (file, open) in [(&file, "5 holder(s) are now"), (&alone, "who holds the prizes now")] {
            let said = outcome(file).unwrap();
            let first = said.lines().next().unwrap();
            assert!(first.starts_with("older format: not covered is ") && first.contains(open), "{said}");
            assert!(!said.contains("verified"), "{said}");
        }
    }
}
