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

/// Says line by line what was checked, and what was not.
fn said(draw: &PublishedDraw, format: FileFormat) -> String {
    let (proof, prizes) = (&draw.proof, &draw.proof.rules.prizes);
    let listed: Vec<String> = prizes.iter().map(|p| format!("{} x {}", p.name, p.quantity)).collect();
    let mut lines = vec![
        format!(
            "verified: {} winner(s) and {} alternate(s) of {} entries follow from the proof",
            proof.winners.len(),
            proof.alternates.len(),
            proof.count
        ),
        format!(
            "verified: prizes and quantities ({}), their ranks, all counts, the commitment and the list",
            listed.join(", ")
        ),
    ];
    match (format, &draw.holders, &draw.passed_on) {
        (FileFormat::Current, Some(holders), Some(passed_on)) => lines.push(format!(
            "verified: the {} holder(s) follow from winners, alternates and {} passed on",
            holders.len(),
            passed_on.len()
        )),
        (_, Some(holders), _) => lines.push(format!(
            "older format: it does not say what was passed on; of the {} holder(s) only prize, rank and that they were drawn \
             are verified, their masked phones are not",
            holders.len()
        )),
        _ => lines.push("older format: it does not say who holds the prizes now".into()),
    }
    if proof.external.is_none() {
        lines.push("note: the owner sent no random bytes of their own, so the operator alone knew the seed".into());
    }
    lines.join("\n")
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

    #[test]
    fn it_says_what_was_checked_and_what_was_not() {
        let vectors: Value = serde_json::from_str(include_str!("../../actors/domain/src/draw/vectors.json")).unwrap();
        assert!(outcome(&vectors[1]).unwrap().contains("older format"));
        let proof: DrawProof = serde_json::from_value(vectors[1].clone()).unwrap();
        let holders = holders_after(&proof, &[]).unwrap();
        let mut file = json!(PublishedDraw::new(proof, holders, Vec::new()).unwrap());
        let said = outcome(&file).unwrap();
        assert!(said.contains("5 holder(s)") && !said.contains("older format"), "{said}");
        file["holders"][0]["prize"] = json!("자동차");
        assert!(outcome(&file).unwrap_err().contains("holders"));
        file["holders"] = json!([]);
        assert!(outcome(&file).unwrap_err().contains("holders"));
        file["title"] = json!("아무 제목");
        assert!(outcome(&file).unwrap_err().contains("title"), "nothing proves it");
    }
}
