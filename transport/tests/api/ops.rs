//! What operators are given fits the server: every metric that a rule or a panel asks for is one that is counted.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

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

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn rules_and_dashboard_ask_for_what_is_counted() {
    let mut code = String::new();
    for folder in ["src", "../actors/src", "../storage/src"] {
        sources(Path::new(folder), &mut code);
    }
    let expressions = expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    let mut names = BTreeSet::new();
    for expression in &expressions {
        // Label values and recorded names are not metrics.
        let bare: String = expression.split('"').step_by(2).collect();
        let words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        names.extend(words.filter(|w| w.contains('_') && !w.contains(':') && *w != FUNCTION).map(str::to_owned));
    }
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(&name);
        assert!(code.contains(&format!("\"{base}\"")), "nothing counts {name}");
    }
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
