//! What was posted: kept per upstream and idempotency key, on disk as one JSON line per post.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

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
}

impl Posts {
    /// Opens what an earlier run left.
    pub(crate) fn open(folder: Option<&Path>) -> std::io::Result<Self> {
        let mut inner = Inner { posts: Vec::new(), file: None };
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)?;
            let path = folder.join("posts.jsonl");
            if path.exists() {
                for line in BufReader::new(File::open(&path)?).lines() {
                    // A line cut off by a kill was never acknowledged.
                    if let Ok(post) = serde_json::from_str::<Post>(&line?) {
                        inner.posts.retain(|p| !(p.upstream == post.upstream && p.id == post.id));
                        inner.posts.push(post);
                    }
                }
            }
            inner.file = Some(OpenOptions::new().create(true).append(true).open(path)?);
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics holding it")
    }
}

impl Inner {
    fn write(&mut self, post: &Post) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(post).expect("a post serialises") + "\n";
            if let Err(e) = file.write_all(line.as_bytes()).and_then(|()| file.sync_data()) {
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
