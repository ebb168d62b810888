//! Rules, dashboard and runbooks fit the server: they name metrics that it shows.

use crate::support::{owner, phone, run, server, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;
use std::time::Duration;

/// The one function of the query language that looks like a metric.
const FUNCTION: &str = "histogram_quantile";

/// All expressions of rules and dashboard.
fn expressions() -> Vec<String> {
    let rules = read_to_string("ops/prometheus/rules.yml").unwrap();
    let rules = rules.lines().filter_map(|l| l.trim().strip_prefix("expr: ").map(str::to_owned));
    let dashboard: Value = serde_json::from_str(&read_to_string("ops/grafana/madang.json").unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let places: BTreeSet<String> = panels.iter().map(|p| p["gridPos"].to_string()).collect();
    assert_eq!(places.len(), panels.len(), "one place each");
    let asked = panels.iter().flat_map(|p| p["targets"].as_array().unwrap());
    rules.chain(asked.map(|t| t["expr"].as_str().unwrap().to_owned())).collect()
}

/// Names of metrics that runbooks name, such as `upstream_calls_total{upstream=…}`.
fn named_in_runbooks() -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("ops/runbooks").unwrap() {
        let text = read_to_string(entry.unwrap().path()).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        names.extend(quoted.filter_map(|code| {
            let name = code.split('{').next().unwrap_or_default();
            let metric = name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            metric.then(|| name.to_owned())
        }));
    }
    names
}

/// Names of metrics that rules and dashboard ask for.
fn asked_for() -> Vec<String> {
    let expressions = expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    let mut names = Vec::new();
    for expression in &expressions {
        // Label values and recorded names are not metrics.
        let bare: String = expression.split('"').step_by(2).collect();
        let words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        names.extend(words.filter(|w| w.contains('_') && !w.contains(':') && *w != FUNCTION).map(str::to_owned));
    }
    names
}

/// Every metric that a runbook, a rule or the dashboard names is one that a running server shows.
#[test]
fn operators_are_told_of_metrics_that_exist() {
    run(async {
        let api = owner().await;
        let (_, slug) = api.live(json!({})).await;
        api.enter(&slug, &phone(1)).await.is(201);
        let (books, asked): (Vec<String>, Vec<String>) = (named_in_runbooks(), asked_for());
        assert!(books.len() >= 8 && asked.len() > 40, "{books:?} {asked:?}");
        within(Duration::from_secs(10), "all are shown", || async {
            let metrics = reqwest::get(format!("{}/metrics", server().admin)).await.unwrap().text().await.unwrap();
            let shown = |name: &str| {
                let ends = |rest: &str| rest.starts_with(['{', ' ']);
                ["", "_count"].iter().any(|suffix| {
                    let whole = format!("{name}{suffix}");
                    metrics.lines().any(|l| l.strip_prefix(whole.as_str()).is_some_and(ends))
                })
            };
            let missing: Vec<&String> = books.iter().chain(&asked).filter(|name| !shown(name)).collect();
            if !missing.is_empty() {
                println!("not shown: {missing:?}");
            }
            missing.is_empty()
        })
        .await;
    });
}

#[test]
fn every_alarm_has_its_runbook() {
    let rules = read_to_string("ops/prometheus/rules.yml").unwrap();
    let books: Vec<&str> = rules.lines().filter_map(|l| l.trim().strip_prefix("runbook_url: ")).collect();
    assert_eq!(books.len(), rules.matches("- alert:").count());
    for book in books {
        assert!(Path::new("..").join(book.trim_matches('"')).is_file(), "{book}");
    }
}
