//! What is wrong, who was told, and when to tell again: pure, with time as an argument.

use crate::vitals::Totals;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time after which an alarm that goes on is told again.
const REMIND: Duration = Duration::from_secs(3600);
/// Requests and look-ups within the window below which a share says nothing.
const ENOUGH: u64 = 50;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look today.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// Something that is wrong, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) key: String,
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// More of it is news, where it can be counted.
    pub(crate) weight: i64,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which alarm.
    pub key: String,
    /// How bad it is, or was.
    pub severity: Severity,
    /// In words.
    pub text: String,
    /// It is over.
    pub resolved: bool,
}

struct Active {
    severity: Severity,
    text: String,
    weight: i64,
    told: Instant,
}

/// The alarms that are on.
#[derive(Default)]
pub(crate) struct Board {
    active: BTreeMap<String, Active>,
}

impl Board {
    /// Takes what one look found; tells what is new, worse, over, or has gone on for an hour. `of` says which keys this
    /// look can speak about: what it does not find of these is over.
    pub(crate) fn look(&mut self, now: Instant, found: Vec<Finding>, of: impl Fn(&str) -> bool) -> Vec<Message> {
        let mut told = Vec::new();
        let over: Vec<String> =
            self.active.keys().filter(|k| of(k) && !found.iter().any(|f| &f.key == *k)).cloned().collect();
        for key in over {
            if let Some(was) = self.active.remove(&key) {
                told.push(Message { key, severity: was.severity, text: was.text, resolved: true });
            }
        }
        for f in found {
            let known = self.active.get(&f.key);
            let again = known
                .is_none_or(|a| f.severity > a.severity || f.weight > a.weight || now.duration_since(a.told) >= REMIND);
            let at = if again { now } else { known.map_or(now, |a| a.told) };
            self.active.insert(
                f.key.clone(),
                Active { severity: f.severity, text: f.text.clone(), weight: f.weight, told: at },
            );
            if again {
                told.push(Message { key: f.key, severity: f.severity, text: f.text, resolved: false });
            }
        }
        told
    }

    /// What is on.
    pub(crate) fn active(&self) -> Vec<Message> {
        let each = self.active.iter();
        each.map(|(key, a)| Message { key: key.clone(), severity: a.severity, text: a.text.clone(), resolved: false })
            .collect()
    }
}

/// What one look sees.
pub(crate) struct Observations {
    /// Added within the window.
    pub(crate) lately: Totals,
    /// Share of Redis' memory in use, where it says so.
    pub(crate) redis_memory: Option<f64>,
    /// Names of the upstreams whose breaker is open.
    pub(crate) open: Vec<&'static str>,
    /// Names of those that do not accept our key or bill.
    pub(crate) refusing: Vec<&'static str>,
    /// Dead letters, if the database could say.
    pub(crate) dead: Option<i64>,
    /// Seconds that the database's clock is ahead of this machine's.
    pub(crate) clock_ahead: f64,
}

/// Seconds between the two clocks from which on tokens and logs are wrong by more than anybody expects.
const CRITICAL_SKEW_SECONDS: f64 = 60.0;

fn graded(key: &str, value: f64, warning: f64, critical: f64, text: impl Fn(f64) -> String) -> Option<Finding> {
    let bad = |limit: f64| if critical > warning { value > limit } else { value < limit };
    let severity = match (bad(warning), bad(critical)) {
        (_, true) => Severity::Critical,
        (true, false) => Severity::Warning,
        (false, false) => return None,
    };
    Some(Finding { key: key.to_owned(), severity, text: text(value), weight: 0 })
}

/// The conditions of ALM-01 to ALM-05, dead letters, and keys that are not accepted. `transport/ops/prometheus/rules.yml` has
/// the same ones.
pub(crate) fn judge(seen: &Observations) -> Vec<Finding> {
    let lately = seen.lately;
    let looked = lately.cache_hits + lately.cache_misses;
    let hit_rate = (looked >= ENOUGH).then(|| 100.0 * lately.cache_hits as f64 / looked as f64);
    let enough = lately.requests >= ENOUGH;
    let answered =
        100.0 * (lately.requests - lately.failures.min(lately.requests)) as f64 / lately.requests.max(1) as f64;
    let late = |n: u64| enough && n * 20 > lately.requests;
    let latency = match (late(lately.over_500_ms), late(lately.over_1000_ms)) {
        (_, true) => Some((Severity::Critical, 1000)),
        (true, false) => Some((Severity::Warning, 500)),
        (false, false) => None,
    };
    let open = seen.open.len();
    let findings = [
        hit_rate.and_then(|r| graded("cache-hit-rate", r, 70.0, 50.0, |r| format!("Cache hit rate is {r:.0} %"))),
        seen.redis_memory.and_then(|m| {
            graded("redis-memory", m * 100.0, 80.0, 90.0, |m| format!("Redis uses {m:.0} % of its memory"))
        }),
        latency.map(|(severity, ms)| Finding {
            key: "api-latency".into(),
            severity,
            text: format!("More than 5 % of the requests take over {ms} ms"),
            weight: 0,
        }),
        (open > 0).then(|| Finding {
            key: "open-circuits".into(),
            severity: if open >= 3 { Severity::Critical } else { Severity::Warning },
            text: format!("Breakers are open: {}", seen.open.join(", ")),
            weight: open as i64,
        }),
        // Others stand in meanwhile, so nobody else would notice.
        (!seen.refusing.is_empty()).then(|| Finding {
            key: "upstream-refuses".into(),
            severity: Severity::Warning,
            text: format!("Our key or bill is not accepted by: {}", seen.refusing.join(", ")),
            weight: seen.refusing.len() as i64,
        }),
        enough
            .then(|| graded("availability", answered, 99.0, 95.0, |a| format!("Only {a:.1} % of the requests succeed")))
            .flatten(),
        (lately.quarantines > 0).then(|| Finding {
            key: "actors-quarantined".into(),
            severity: Severity::Critical,
            text: format!("{} event(s) failed again and again and answer nobody for a while", lately.quarantines),
            weight: i64::try_from(lately.quarantines).unwrap_or(i64::MAX),
        }),
        seen.dead.filter(|n| *n > 0).map(|dead| Finding {
            key: "dead-letters".into(),
            severity: Severity::Warning,
            text: format!("{dead} dead letter(s) wait to be replayed"),
            weight: dead,
        }),
        graded("clock", seen.clock_ahead.abs(), storage::clock::MAX_SKEW_SECONDS, CRITICAL_SKEW_SECONDS, |s| {
            format!("The clocks of this server and of its database differ by {s:.0} s")
        }),
    ];
    findings.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Observations {
        Observations {
            lately: Totals::default(),
            redis_memory: None,
            open: Vec::new(),
            refusing: Vec::new(),
            dead: Some(0),
            clock_ahead: 0.0,
        }
    }

    fn severity_of(seen: &Observations, key: &str) -> Option<Severity> {
        judge(seen).into_iter().find(|f| f.key == key).map(|f| f.severity)
    }

    #[test]
    fn the_thresholds_are_those_of_the_design() {
        use Severity::{Critical, Warning};
        for (hits, expected) in [(71, None), (70, None), (69, Some(Warning)), (50, Some(Warning)), (49, Some(Critical))]
        {
            let lately = Totals { cache_hits: hits, cache_misses: 100 - hits, ..Totals::default() };
            assert_eq!(severity_of(&Observations { lately, ..seen() }, "cache-hit-rate"), expected, "{hits} %");
        }
        for (ratio, expected) in [(0.80, None), (0.81, Some(Warning)), (0.90, Some(Warning)), (0.91, Some(Critical))] {
            assert_eq!(
                severity_of(&Observations { redis_memory: Some(ratio), ..seen() }, "redis-memory"),
                expected,
                "{ratio}"
            );
        }
        for (half, whole, expected) in
            [(5, 0, None), (6, 0, Some(Warning)), (6, 5, Some(Warning)), (6, 6, Some(Critical))]
        {
            let lately = Totals { requests: 100, over_500_ms: half, over_1000_ms: whole, ..Totals::default() };
            assert_eq!(severity_of(&Observations { lately, ..seen() }, "api-latency"), expected, "{half} {whole}");
        }
        for (open, expected) in [(0, None), (1, Some(Warning)), (2, Some(Warning)), (3, Some(Critical))] {
            assert_eq!(
                severity_of(&Observations { open: vec!["NTS"; open], ..seen() }, "open-circuits"),
                expected,
                "{open}"
            );
        }
        for (failures, expected) in [(1, None), (2, Some(Warning)), (5, Some(Warning)), (6, Some(Critical))] {
            let lately = Totals { requests: 100, failures, ..Totals::default() };
            assert_eq!(severity_of(&Observations { lately, ..seen() }, "availability"), expected, "{failures}");
        }
        let few = Totals { requests: 10, failures: 10, cache_misses: 10, over_1000_ms: 10, ..Totals::default() };
        assert!(judge(&Observations { lately: few, ..seen() }).is_empty(), "a handful says nothing");
        assert_eq!(severity_of(&Observations { dead: Some(1), ..seen() }, "dead-letters"), Some(Warning));
        for (ahead, expected) in [
            (3.0, None),
            (8.0, Some(Warning)),
            (-8.0, Some(Warning)),
            (3_600.0, Some(Critical)),
            (-3_600.0, Some(Critical)),
            (-86_400.0, Some(Critical)),
        ] {
            assert_eq!(severity_of(&Observations { clock_ahead: ahead, ..seen() }, "clock"), expected, "{ahead} s");
        }
        let refused = Observations { refusing: vec!["CLAUDE"], ..seen() };
        assert_eq!(severity_of(&refused, "upstream-refuses"), Some(Warning));
        let lately = Totals { quarantines: 1, ..Totals::default() };
        assert_eq!(severity_of(&Observations { lately, ..seen() }, "actors-quarantined"), Some(Critical));
    }

    #[test]
    fn each_alarm_is_told_once_again_when_worse_and_when_it_is_over() {
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        let mut board = Board::default();
        let found = |severity| vec![Finding { key: "k".into(), severity, text: "t".into(), weight: 0 }];
        let all = |_: &str| true;
        assert_eq!(board.look(after(0), found(Severity::Warning), all).len(), 1);
        for s in 1..100 {
            assert!(board.look(after(s), found(Severity::Warning), all).is_empty(), "told already");
        }
        assert_eq!(board.look(after(100), found(Severity::Critical), all).len(), 1, "worse");
        assert!(board.look(after(101), found(Severity::Warning), all).is_empty(), "better is no news");
        assert_eq!(board.look(after(3701), found(Severity::Warning), all).len(), 1, "an hour later");
        assert!(board.look(after(3702), Vec::new(), |k| k != "k").is_empty(), "this look says nothing of it");
        let over = board.look(after(3703), Vec::new(), all);
        assert!(over.len() == 1 && over[0].resolved);
        assert!(board.active().is_empty() && board.look(after(3704), Vec::new(), all).is_empty());
    }
}
