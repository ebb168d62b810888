//! `--record`: what a run printed, as a section of `load-tests/RESULTS.md`.

use crate::server::Failure;
use parking_lot::Mutex;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

/// Lines that were printed so far. A run is one process.
static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Prints a line and keeps it for the record. Called by `say!`.
pub(crate) fn print(line: fmt::Arguments<'_>) {
    let line = line.to_string();
    println!("{line}");
    PRINTED.lock().push(line);
}

/// Prints a line of a run's result, as `println!` does.
macro_rules! say {
    ($($arg:tt)*) => { $crate::record::print(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Where and how a run was made.
struct Setting {
    command: String,
    day: String,
    profile: &'static str,
    database: &'static str,
    cores: usize,
}

/// Appends what was printed to a file of results.
///
/// # Errors
/// The file cannot be written; the message names it.
pub(crate) fn append(file: &Path, held: bool) -> Result<(), Failure> {
    let setting = Setting {
        command: std::env::args().skip(1).filter(|arg| arg != "--record").collect::<Vec<_>>().join(" "),
        day: chrono::Utc::now().date_naive().to_string(),
        profile: if cfg!(debug_assertions) { "dev" } else { "optimised" },
        database: if std::env::var_os("DATABASE_URL").is_some() { "PostgreSQL" } else { "embedded" },
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let old = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let section = section(&setting, &PRINTED.lock(), held);
    std::fs::write(file, format!("{}\n\n{section}", old.trim_end()))
        .map_err(|e| format!("{}: {e}", file.display()).into())
}

fn section(setting: &Setting, printed: &[String], held: bool) -> String {
    let Setting { command, day, profile, database, cores } = setting;
    let mut text = format!("## `{command}`, {day}, {profile} build, {database}, {cores} cores\n\n");
    if !held {
        text.push_str("The run failed: something did not hold.\n\n");
    }
    text.push_str("```text\n");
    for line in printed {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str("```\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_becomes_a_section() {
        let setting = Setting {
            command: "remote --scenario hot".into(),
            day: "2026-12-01".into(),
            profile: "dev",
            database: "embedded",
            cores: 2,
        };
        let printed = ["sent  10  ".to_owned(), "done".to_owned()];
        let section = section(&setting, &printed, false);
        assert_eq!(
            section,
            "## `remote --scenario hot`, 2026-12-01, dev build, embedded, 2 cores\n\nThe run failed: something did not \
             hold.\n\n```text\nsent  10\ndone\n```\n"
        );
    }
}
