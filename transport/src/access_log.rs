//! The access log: a line for every request. A request adds its line to a buffer and goes on; a thread writes out what came
//! together. A line per `tracing` event instead means a serializer, a message and mostly a wake-up for each refused entry.

use axum::http::Method;
use chrono::{SecondsFormat, Utc};
use parking_lot::{Condvar, Mutex};
use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The target of its lines: `access=off` in the filter of logs ends them.
const TARGET: &str = "access";
/// What may wait for whoever reads the log, in bytes: half a second of a storm. Past it lines are dropped and counted.
const MAX_WAITING_BYTES: usize = 2 * 1024 * 1024;
/// How long lines come together before they are written. A crash loses them, and what nobody read in time.
const WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// Written at once: other lines of the log wait for no more than this.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the end of the process waits for whoever reads the log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The log of this process.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// What is said of a request. Nothing in it needs escaping: a method is a token, the rest is ours.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a Method,
    /// The template of the route.
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    pub(crate) trace: &'a str,
}

impl Line<'_> {
    /// As other events of the log look.
    fn write(&self, form: Form, out: &mut Vec<u8>) {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let Self { method, route, status, took, trace } = self;
        let ms = took.as_millis();
        let written = match form {
            Form::Json => writeln!(
                out,
                r#"{{"timestamp":"{now}","level":"INFO","message":"request","method":"{method}","route":"{route}","status":{status},"ms":{ms},"trace":"{trace}","target":"{TARGET}"}}"#
            ),
            Form::Text => writeln!(
                out,
                "{now}  INFO {TARGET}: request method={method} route={route} status={status} ms={ms} trace={trace}"
            ),
        };
        written.expect("memory takes whatever is written");
    }
}

/// What lines look like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// For machines.
    Json,
    /// For people.
    Text,
}

struct Log {
    form: Form,
    lines: Mutex<Lines>,
    more: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// The writer waits for the first line.
    idle: bool,
    ended: bool,
}

/// Adds a line, unless the filter of logs leaves them out or nobody set the log up.
pub(crate) fn add(line: &Line<'_>) {
    if let Some(log) = LOG.get()
        && tracing::enabled!(target: TARGET, tracing::Level::INFO)
    {
        log.add(line);
    }
}

/// Lines that were dropped because nobody took them fast enough.
pub(crate) fn dropped() -> u64 {
    LOG.get().map_or(0, |log| log.dropped.load(Ordering::Relaxed))
}

impl Log {
    fn new(form: Form) -> Self {
        Self { form, lines: Mutex::default(), more: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    fn add(&self, line: &Line<'_>) {
        thread_local!(static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        LINE.with_borrow_mut(|text| {
            text.clear();
            // Before the lock: whoever loses the processor holding it stops all others.
            line.write(self.form, text);
            let mut lines = self.lines.lock();
            if lines.waiting.len() >= MAX_WAITING_BYTES {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            lines.waiting.extend_from_slice(text);
            let idle = std::mem::take(&mut lines.idle);
            drop(lines);
            if idle {
                self.more.notify_one();
            }
        });
    }

    /// Until it is ended, and then what is left.
    fn write_out(&self, mut to: impl Write) {
        let mut out = Vec::new();
        loop {
            let mut lines = self.lines.lock();
            while lines.waiting.is_empty() {
                if lines.ended {
                    return;
                }
                lines.idle = true;
                self.more.wait(&mut lines);
            }
            let together = |lines: &mut Lines| !lines.ended;
            self.more.wait_while_for(&mut lines, together, WRITE_INTERVAL);
            std::mem::swap(&mut lines.waiting, &mut out);
            drop(lines);
            self.write(&out, &mut to);
            out.clear();
        }
    }

    /// In pieces of whole lines.
    fn write(&self, mut lines: &[u8], to: &mut impl Write) {
        let ends = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count() as u64;
        while !lines.is_empty() {
            let last = lines[..lines.len().min(WRITE_BYTES)].iter().rposition(|b| *b == b'\n');
            let (piece, rest) = lines.split_at(last.map_or(lines.len(), |at| at + 1));
            if to.write_all(piece).is_err() {
                self.dropped.fetch_add(ends(piece), Ordering::Relaxed);
            }
            lines = rest;
        }
    }

    fn end(&self) {
        self.lines.lock().ended = true;
        self.more.notify_one();
    }
}

/// The thread that writes; dropped, it writes what is left and ends.
#[must_use = "dropped, it ends the access log"]
pub(crate) struct Writer {
    log: Arc<Log>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Writer {
    fn start(log: Arc<Log>, to: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (writing, (alive, ended)) = (log.clone(), channel());
        std::thread::Builder::new().name("log".into()).spawn(move || {
            writing.write_out(to);
            drop(alive);
        })?;
        Ok(Self { log, ended })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.end();
        // The reader of the log may have stopped.
        let _ = self.ended.recv_timeout(FLUSH_TIMEOUT);
    }
}

/// Sets the log of this process up. Another one in the same process gets no lines.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn start(form: Form, to: impl Write + Send + 'static) -> std::io::Result<Writer> {
    let log = Arc::new(Log::new(form));
    let writer = Writer::start(log.clone(), to)?;
    let _ = LOG.set(log);
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'_> = Line {
        method: &Method::POST,
        route: "/api/participation/events/{slug}/entries",
        status: 503,
        took: Duration::from_micros(12_900),
        trace: "0194f1d2",
    };

    /// Collects what is written, as a file would.
    #[derive(Clone, Default)]
    struct File(Arc<Mutex<Vec<u8>>>);

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json() {
        let mut out = Vec::new();
        LINE.write(Form::Json, &mut out);
        let mut line: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let at = line["timestamp"].take();
        assert!(chrono::DateTime::parse_from_rfc3339(at.as_str().expect("text")).is_ok());
        let told = serde_json::json!({"timestamp": null, "level": "INFO", "message": "request", "method": "POST",
            "route": LINE.route, "status": 503, "ms": 12, "trace": "0194f1d2", "target": "access"});
        assert_eq!(line, told);
    }

    #[test]
    fn every_line_is_written_once_and_whole() {
        let (log, file) = (Arc::new(Log::new(Form::Text)), File::default());
        let writer = Writer::start(log.clone(), file.clone()).expect("a thread");
        std::thread::scope(|all| {
            for _ in 0..4 {
                all.spawn(|| (0..2_000).for_each(|_| log.add(&LINE)));
            }
        });
        drop(writer);
        let written = String::from_utf8(file.0.lock().clone()).expect("text");
        assert_eq!(written.lines().filter(|line| line.ends_with("ms=12 trace=0194f1d2")).count(), 8_000);
        assert_eq!(written.lines().count(), 8_000);
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted() {
        let log = Log::new(Form::Json);
        let mut added = 0;
        while log.dropped.load(Ordering::Relaxed) < 3 {
            log.add(&LINE);
            added += 1;
        }
        log.end();
        let file = File::default();
        log.write_out(file.clone());
        let written = file.0.lock().split(|b| *b == b'\n').count() - 1;
        assert_eq!(written, added - 3);
    }

    #[test]
    fn who_does_not_read_does_not_keep_the_process() {
        struct Stuck(Arc<Mutex<()>>);
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                drop(self.0.lock());
                Err(std::io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (log, reader) = (Arc::new(Log::new(Form::Json)), Arc::new(Mutex::new(())));
        let asleep = reader.lock();
        let writer = Writer::start(log.clone(), Stuck(reader.clone())).expect("a thread");
        log.add(&LINE);
        drop(writer);
        assert_eq!(log.dropped.load(Ordering::Relaxed), 0);
        drop(asleep);
        while Arc::strong_count(&reader) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(log.dropped.load(Ordering::Relaxed), 1, "what cannot be written is counted");
    }
}
