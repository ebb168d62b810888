//! The binary itself: start, kill, start again; signals; the command line.

use crate::support::{at, owner_at, phone, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Process {
    child: Child,
    base: String,
}

fn madang() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    // The embedded database and its own folder, whatever the tests run on.
    command.env_remove("DATABASE_URL").env_remove("REDIS_URL").env("MADANG_SIMULATOR_LATENCY", "0");
    // One cache for all of them, instead of one in each folder that is unpacked first.
    if let Some(home) = std::env::var_os("HOME").filter(|_| std::env::var_os("XDG_CACHE_HOME").is_none()) {
        command.env("XDG_CACHE_HOME", Path::new(&home).join(".cache"));
    }
    command
}

/// Starts `madang serve` and waits until it is ready.
async fn serve(folder: &Path) -> Process {
    serve_as(madang(), folder).await
}

async fn serve_as(mut command: Command, folder: &Path) -> Process {
    let mut child = command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let base = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let console = lines.find(|l| l.contains("console")).expect("it prints its address");
        let base = console.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
        // Keep reading, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        base
    })
    .await
    .unwrap();
    let begun = Instant::now();
    while at(&base).get("/readyz").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    Process { child, base }
}

impl Process {
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

#[test]
fn a_kill_loses_nothing_acknowledged_and_a_second_start_finds_its_data() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut first = serve(folder.path()).await;
        let mut api = owner_at(&first.base).await;
        let (id, slug) = api.live(json!({})).await;
        let mut receipts = Vec::new();
        for n in 0..40 {
            receipts.push(api.enter(&slug, &phone(n)).await.is(201));
        }
        let soon = chrono::Utc::now() + chrono::Duration::milliseconds(4_000);
        let scheduled =
            api.ready(json!({"startsAt": soon, "endsAt": soon + chrono::Duration::hours(1)}), json!(["KAKAO"])).await;
        let before =
            api.post(&format!("/api/events/{scheduled}/approve"), json!({})).await.is(202)["event"]["status"].clone();
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        let mut second = serve(folder.path()).await;
        api.base = second.base.clone();
        for entered in &receipts {
            let found =
                api.get(&format!("/api/participation/receipts/{}", entered["receipt"].as_str().unwrap())).await.is(200);
            assert_eq!(found["entryNo"], entered["entryNo"]);
        }
        assert_eq!(api.get(&format!("/api/events/{id}/analytics")).await.is(200)["cards"]["participants"], 40);
        assert_eq!(api.enter(&slug, &phone(40)).await.is(201)["entryNo"], 41, "numbers go on where they were");
        if before == "scheduled" {
            crate::support::within(Duration::from_secs(8), "opened after the restart", || async {
                api.status(&scheduled).await == "live"
            })
            .await;
        }
        let mut socket = api.socket().await;
        second.signal("-TERM");
        // A client with a new connection, as a load balancer, is still told.
        let base = second.base.clone();
        let told = tokio::spawn(async move {
            crate::support::within(Duration::from_secs(1), "not ready", || async {
                at(&base).get("/readyz").await.status == 503
            })
            .await;
        });
        let goaway = loop {
            match socket.next().await {
                Ok(message) if message["type"] == "goaway" => break message,
                Ok(_) => {}
                Err(code) => panic!("closed with {code} before a goaway"),
            }
        };
        assert!(goaway["reconnectAfterMs"].as_u64().unwrap() > 0);
        assert_eq!(socket.next().await, Err(1012));
        told.await.unwrap();
        let begun = Instant::now();
        let status = tokio::task::spawn_blocking(move || second.child.wait().unwrap()).await.unwrap();
        assert!(status.success() && begun.elapsed() < Duration::from_secs(30), "{status}");
    });
}

/// Cases H1 and O6: as a service without a home and with any umask, all that is written is in the data folder, which is closed.
#[cfg(unix)]
#[test]
fn a_service_without_a_home_needs_its_data_folder_only() {
    use std::os::unix::fs::MetadataExt;
    run(async {
        let all = tempfile::tempdir().unwrap();
        let folder = all.path().join("data");
        let script = "umask 000; exec \"$0\" \"$@\" serve";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_madang")]).env_clear().current_dir(all.path());
        command.env("PATH", "/usr/bin:/bin").env("HOME", all.path().join("no/home"));
        let mut service = serve_as(command, &folder).await;
        owner_at(&service.base).await;
        service.signal("-TERM");
        let status = tokio::task::spawn_blocking(move || service.child.wait().unwrap()).await.unwrap();
        assert!(status.success(), "the process that was started is the one that serves: {status}");
        assert!(folder.join("cache").is_dir());
        let inside: Vec<_> = std::fs::read_dir(all.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(inside, ["data"], "nothing is written beside it");
        for (path, mode) in [(folder.clone(), 0o700), (folder.join("db"), 0o700), (folder.join("keys.json"), 0o600)] {
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
        }
    });
}

#[test]
fn the_command_line_checks_settings_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let output = madang().args(args).envs(env.iter().copied()).current_dir(folder.path()).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    assert_eq!(run(&["config", "check"], &[]).0, 0);
    let (code, text) = run(&["serve"], &[("MADANG_TYPO", "1")]);
    assert!(code == 1 && text.contains("MADANG_TYPO") && text.trim().lines().count() == 1, "{text}");
    let (code, text) = run(&["serve"], &[("MADANG_ENV", "production")]);
    assert!(code == 1 && text.contains("keys"), "no default keys in production: {text}");
    assert!(run(&["config", "template"], &[]).1.contains("listen = "));
    assert!(run(&["simulator", "--help"], &[]).1.contains("999-01"));
    let vectors: Value = serde_json::from_str(include_str!("../../../actors/domain/src/draw/vectors.json")).unwrap();
    let file = folder.path().join("draw.json");
    let path = file.to_str().unwrap();
    std::fs::write(&file, vectors[1].to_string()).unwrap();
    let (code, text) = run(&["draw", "verify", path], &[]);
    // The vectors are older than holders and what was passed on: the first line says what is not covered.
    assert!(code == 0 && text.starts_with("older format: not covered is ") && !text.contains("verified"), "{text}");
    let mut tampered = vectors[1].clone();
    tampered["winners"][0]["entryNo"] = json!(1_000);
    std::fs::write(&file, tampered.to_string()).unwrap();
    let (code, text) = run(&["draw", "verify", path], &[]);
    assert!(code == 1 && text.contains("winners"), "{text}");
    assert_eq!(run(&["draw", "verify", "missing.json"], &[]).0, 1);
}

#[test]
fn the_demo_runs_on_a_persons_own_files() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.toml");
    std::fs::write(
        &shop,
        "objective = \"REVISIT\"\n[owner]\nname = \"김주인\"\nphone = \"010-2222-3333\"\nbusiness_number = \"124-81-00998\"\nopened_on = \"2015-04-01\"\n\
         [shop]\nname = \"골목빵집\"\nindustry = \"BAKERY\"\nregion = \"전남광주통합특별시 북구\"\n",
    )
    .unwrap();
    let entries = folder.path().join("entries.csv");
    std::fs::write(&entries, "name,phone,channel\n김하나,010-1111-0001,QR\n이둘,010-1111-0002\n,010-1111-0003,QR\n박셋,02-123-4567,QR\n최넷,010-1111-0004,MARS\n").unwrap();
    let output = madang()
        .args(["demo", "--shop"])
        .arg(&shop)
        .arg("--entries")
        .arg(&entries)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("골목빵집") && text.contains("2 acknowledged"), "{text}");
    for line in [":4: left out", ":5: left out", ":6: left out"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
