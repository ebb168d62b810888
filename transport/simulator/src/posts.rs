//! What was posted: kept per upstream and idempotency key, on disk as one JSON line per post.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::path::Path;
use std::sync::Arc;

/// A post, as an upstream keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Post {
    /// Which upstream.
    pub upstream: String,
    /// What the upstream calls it.
    pub id: String,
    /// Idempotency key, where the upstream takes one.
    pub key: Option<String>,
    /// The event it is about, where the upstream was told.
    pub event: Option<String>,
    /// What was sent.
    pub body: Value,
    /// When.
    pub at: DateTime<Utc>,
    /// Taken back.
    #[serde(default)]
    pub gone: bool,
}

/// All posts.
#[derive(Clone)]
pub struct Posts {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    posts: Vec<Post>,
    file: Option<File>,
    /// The last line may lack its end: the disk was full.
    torn: bool,
}

impl Posts {
    /// Opens what an earlier run left. A line that holds no post stays in the file and is told; a last line that a kill cut
    /// off is ended, so that the next post has a line of its own.
    ///
    /// # Errors
    /// Folder or file cannot be read or written; the file is named.
    pub(crate) fn open(folder: Option<&Path>) -> std::io::Result<Self> {
        let mut inner = Inner { posts: Vec::new(), file: None, torn: false };
        if let Some(folder) = folder {
            let path = folder.join("posts.jsonl");
            let named = |e: Error| Error::new(e.kind(), format!("{}: {e}", path.display()));
            std::fs::create_dir_all(folder).map_err(named)?;
            let kept = match std::fs::read(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                read => read.map_err(named)?,
            };
            let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(named)?;
            if kept.last().is_some_and(|byte| *byte != b'\n') {
                file.write_all(b"\n").map_err(named)?;
            }
            for line in inner.take(&kept) {
                tracing::warn!("simulator: line {line} of {} holds no post and is passed over", path.display());
            }
            inner.file = Some(file);
        }
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Keeps a post, unless its key was seen: then the first one is answered.
    pub(crate) fn add(&self, post: Post) -> Post {
        let mut inner = self.lock();
        if let Some(first) =
            inner.posts.iter().find(|p| p.upstream == post.upstream && p.key.is_some() && p.key == post.key)
        {
            return first.clone();
        }
        inner.write(&post);
        inner.posts.push(post.clone());
        post
    }

    /// Marks a post as taken back. False: there is none.
    pub(crate) fn remove(&self, upstream: &str, id: &str) -> bool {
        let mut inner = self.lock();
        let Some(post) = inner.posts.iter_mut().find(|p| p.upstream == upstream && p.id == id && !p.gone) else {
            return false;
        };
        post.gone = true;
        let post = post.clone();
        inner.write(&post);
        true
    }

    /// A post of an upstream that `is` the one.
    pub(crate) fn find(&self, upstream: &str, is: impl Fn(&Post) -> bool) -> Option<Post> {
        self.lock().posts.iter().rev().find(|p| p.upstream == upstream && is(p)).cloned()
    }

    /// All posts of an upstream that are not taken back.
    #[must_use]
    pub fn of(&self, upstream: &str) -> Vec<Post> {
        self.lock().posts.iter().filter(|p| p.upstream == upstream && !p.gone).cloned().collect()
    }

    /// How many an upstream has, taken back or not.
    #[must_use]
    pub fn count(&self, upstream: &str) -> usize {
        self.lock().posts.iter().filter(|p| p.upstream == upstream).count()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    /// Takes the posts of a file. Returns the numbers of the lines, from 1, that hold none.
    fn take(&mut self, kept: &[u8]) -> Vec<usize> {
        let mut without = Vec::new();
        for (i, line) in kept.split(|byte| *byte == b'\n').enumerate() {
            match serde_json::from_slice::<Post>(line) {
                Ok(post) => {
                    self.posts.retain(|p| !(p.upstream == post.upstream && p.id == post.id));
                    self.posts.push(post);
                }
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => without.push(i + 1),
            }
        }
        without
    }

    fn write(&mut self, post: &Post) {
        if let Some(file) = &mut self.file {
            let end = if self.torn { "\n" } else { "" };
            let line = format!("{end}{}\n", serde_json::to_string(post).expect("a post serialises"));
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
            self.torn = written.is_err();
            if let Err(e) = written {
                tracing::error!(error = %e, "simulator: cannot keep a post");
            }
        }
    }
}

/// How often a post has been seen by now: grows with time, a little differently for each post.
pub(crate) fn growth(post: &Post, per_minute: f64) -> i64 {
    let seconds = (Utc::now() - post.at).num_milliseconds() as f64 / 1000.0;
    let personal = 0.6 + f64::from(crate::background::seed(&post.id) % 1000) / 1250.0;
    // Fast at first, then slower: a square root beyond the first ten minutes.
    let minutes = seconds / 60.0;
    let effective = if minutes < 10.0 { minutes } else { 10.0 * (minutes / 10.0).sqrt() };
    (effective * per_minute * personal).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: &str) -> Post {
        let body = serde_json::json!({"title": "여름 이벤트"});
        Post { upstream: "INSTAGRAM".into(), id: id.into(), key: None, event: None, body, at: Utc::now(), gone: false }
    }

    /// Case elizaOS #30878: a torn line and bytes that are no text lose nothing that is kept before or after them.
    #[test]
    fn a_damaged_file_loses_no_post() {
        let folder =
            std::env::temp_dir().join(format!("madang-posts-{}-{}", std::process::id(), rand::random::<u64>()));
        let path = folder.join("posts.jsonl");
        Posts::open(Some(&folder)).unwrap().add(post("1"));
        let damages: [&[u8]; 5] = [br#"{"upstream":"INSTAGRAM","id"#, b"\xff\n", b"\xff", b"\n\n", b"{}"];
        for (n, damage) in damages.into_iter().enumerate() {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(damage).unwrap();
            let posts = Posts::open(Some(&folder)).unwrap();
            assert_eq!(posts.count("INSTAGRAM"), n + 1, "{damage:?}");
            posts.add(post(&format!("after {n}")));
            assert_eq!(Posts::open(Some(&folder)).unwrap().count("INSTAGRAM"), n + 2, "{damage:?}");
            assert!(std::fs::read(&path).unwrap().windows(damage.len()).any(|w| w == damage), "it is not thrown away");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// A file that cannot be read or written is named.
    #[test]
    fn an_error_names_the_file() {
        let folder =
            std::env::temp_dir().join(format!("madang-posts-{}-{}", std::process::id(), rand::random::<u64>()));
        std::fs::create_dir_all(folder.join("posts.jsonl")).unwrap();
        let why = Posts::open(Some(&folder)).err().unwrap().to_string();
        assert!(why.contains("posts.jsonl") && !why.contains('\n'), "{why}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
