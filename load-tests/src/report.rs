//! What a run found: a table, JSON, and one page of HTML that needs nothing else.

mod html;

use crate::load::Recorder;
use crate::record::say;
use crate::server::Failure;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// One look at the processes.
pub struct Sample {
    /// Since the start.
    pub second: u64,
    /// Processor time of that second.
    pub cores: f64,
    /// Memory of the server.
    pub resident_mib: f64,
}

/// A run.
pub struct Report {
    /// What was played.
    pub title: String,
    /// How.
    pub setup: String,
    /// `fdatasync` of 8 KiB in that minute: p50 and p99.
    pub disk: (Duration, Duration),
    /// What became of what was sent.
    pub recorder: Recorder,
    /// Processor time and memory.
    pub samples: Vec<Sample>,
    /// How long things were sent, in seconds.
    pub lasts: u64,
    /// Whose processor time it is.
    pub of: &'static str,
    /// Entries the database holds.
    pub stored: u64,
    /// What else was found, a sentence each.
    pub notes: Vec<String>,
}

fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl Report {
    /// Processor time of each thing that was done, in microseconds.
    fn cpu_us(&self) -> f64 {
        let done = self.recorder.total().done.max(1) as f64;
        self.samples.iter().map(|s| s.cores).sum::<f64>() * 1e6 / done
    }

    /// Prints a table.
    pub fn print(&self) {
        say!("{}: {}", self.title, self.setup);
        say!(
            "{:<24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "",
            "sent",
            "done",
            "refused",
            "unknown",
            "failed",
            "in",
            "p50 ms",
            "p99 ms",
            "max ms"
        );
        for (name, kind) in &self.recorder.kinds {
            let c = kind.counts;
            say!(
                "{name:<24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8.2} {:>8.2} {:>8.2}",
                c.sent,
                c.done,
                c.refused,
                c.unknown,
                c.failed,
                c.duplicate,
                millis(kind.done.value_at_quantile(0.5)),
                millis(kind.done.value_at_quantile(0.99)),
                millis(kind.done.max())
            );
        }
        say!(
            "{:.0} done a second, {:.1} µs of processor time each ({}), memory at most {:.0} MiB; the database holds {} entries; fdatasync p50 {:.2}, p99 {:.2} ms",
            self.recorder.done_within(self.lasts) as f64 / self.lasts.max(1) as f64,
            self.cpu_us(),
            self.of,
            self.samples.iter().map(|s| s.resident_mib).fold(0.0, f64::max),
            self.stored,
            self.disk.0.as_secs_f64() * 1000.0,
            self.disk.1.as_secs_f64() * 1000.0
        );
        self.recorder.say_if_it_waited();
        self.notes.iter().for_each(|note| say!("{note}"));
    }

    /// Writes `report.json` and `report.html` into a folder.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&self.json())?)?;
        std::fs::write(folder.join("report.html"), html::page(self))?;
        Ok(())
    }

    fn json(&self) -> Value {
        let kinds: serde_json::Map<String, Value> = self
            .recorder
            .kinds
            .iter()
            .map(|(name, kind)| {
                let at = |q: f64| millis(kind.done.value_at_quantile(q));
                let latency = json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": millis(kind.done.max())});
                let refused = millis(kind.refused.value_at_quantile(0.99));
                ((*name).to_owned(), json!({"counts": kind.counts, "latencyMs": latency, "refusedP99Ms": refused}))
            })
            .collect();
        let seconds: Vec<Value> = self
            .recorder
            .seconds
            .iter()
            .map(|s| {
                let at = |q: f64| millis(s.latency.value_at_quantile(q));
                let refused = millis(s.refused.value_at_quantile(0.99));
                json!({"counts": s.counts, "p50Ms": at(0.5), "p99Ms": at(0.99), "refusedP99Ms": refused})
            })
            .collect();
        let samples: Vec<Value> = self
            .samples
            .iter()
            .map(|s| json!({"second": s.second, "cores": s.cores, "residentMib": s.resident_mib}))
            .collect();
        json!({
            "title": self.title, "setup": self.setup, "kinds": kinds, "seconds": seconds, "samples": samples,
            "stored": self.stored, "unsent": self.recorder.unsent, "lasts": self.lasts, "cpuUsPerDone": self.cpu_us(),
            "cpuOf": self.of, "waitedForProcessors": self.recorder.waits, "notes": self.notes,
            "fdatasyncMs": {"p50": self.disk.0.as_secs_f64() * 1000.0, "p99": self.disk.1.as_secs_f64() * 1000.0},
        })
    }
}
