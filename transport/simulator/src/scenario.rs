//! A script of faults: what fails, from when, for how long.
//!
//! ```toml
//! [[step]]
//! at = 10              # seconds from the start
//! for = 90             # seconds; left out: until the scenario is replaced
//! upstream = "GENIE_TV"
//! fault = "down"
//! ```

use crate::faults::Rule;
use serde::Deserialize;
use std::time::Duration;

/// The longest scenario: a day.
const LONGEST_SECONDS: f64 = 86_400.0;

/// A script of faults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its steps, in any order; they may overlap.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

/// One fault, for a while.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// Seconds from the start.
    pub at: f64,
    /// For how many seconds; for good when left out.
    #[serde(default, rename = "for")]
    pub lasts: Option<f64>,
    /// Which requests, and what happens to them.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|e| e.message().replace('\n', " "))?;
        for (i, step) in scenario.steps.iter().enumerate() {
            let sane = |seconds: f64| (0.0..=LONGEST_SECONDS).contains(&seconds);
            if !sane(step.at) || !step.lasts.is_none_or(sane) {
                return Err(format!("step {}: at and for must be 0 to {LONGEST_SECONDS} seconds", i + 1));
            }
            if !(0.0..=1.0).contains(&step.rule.share) {
                return Err(format!("step {}: share must be 0 to 1", i + 1));
            }
            if !crate::UPSTREAMS.iter().any(|(name, ..)| *name == step.rule.upstream) {
                return Err(format!("step {}: unknown upstream {:?}", i + 1, step.rule.upstream));
            }
        }
        Ok(scenario)
    }

    /// The rules that hold this long after the start.
    #[must_use]
    pub fn rules_at(&self, since: Duration) -> Vec<Rule> {
        let now = since.as_secs_f64();
        let holds = |s: &&Step| s.at <= now && s.lasts.is_none_or(|lasts| now < s.at + lasts);
        self.steps.iter().filter(holds).map(|s| s.rule.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Fault;

    #[test]
    fn steps_hold_for_their_time() {
        let text = "[[step]]\nat = 10\nfor = 90\nupstream = \"GENIE_TV\"\nfault = \"down\"\n\
                    [[step]]\nat = 20.5\nupstream = \"INSTAGRAM\"\nroute = \"/media_publish\"\nshare = 0.5\n\
                    fault = \"status\"\nstatus = 429\nretryAfter = 7";
        let scenario = Scenario::parse(text).unwrap();
        let at = |s: f64| scenario.rules_at(Duration::from_secs_f64(s));
        assert!(at(9.9).is_empty());
        assert_eq!(at(10.0)[0].fault, Fault::Down);
        assert_eq!(at(50.0).len(), 2);
        assert_eq!(at(100.0)[0].fault, Fault::Status { status: 429, retry_after: Some(7), body: None });
        assert_eq!(at(80_000.0).len(), 1, "the second lasts");
    }

    #[test]
    fn mistakes_are_said() {
        for (text, says) in [
            ("[[step]]\nat = 1\nupstream = \"MOON\"\nfault = \"down\"", "unknown upstream \"MOON\""),
            ("[[step]]\nat = -1\nupstream = \"NTS\"\nfault = \"down\"", "step 1: at and for"),
            ("[[step]]\nat = 1\nupstream = \"NTS\"\nfault = \"melted\"", "melted"),
            ("[[step]]\nat = 1\nshare = 2.0\nupstream = \"NTS\"\nfault = \"down\"", "share"),
            ("step = 3", "invalid type"),
        ] {
            let error = Scenario::parse(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
