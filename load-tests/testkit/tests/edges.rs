//! The one direction between the crates: a new edge must be put here on purpose.

use cargo_metadata::{DependencyKind, MetadataCommand};

const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("storage", &["domain"]),
    ("clients", &["domain"]),
    ("creative", &[]),
    ("actors", &["clients", "creative", "domain", "storage"]),
    ("simulator", &[]),
    ("transport", &["actors", "clients", "creative", "domain", "simulator", "storage"]),
    ("testkit", &["actors", "clients", "creative", "domain", "simulator", "storage"]),
    ("load-tests", &["actors", "clients", "domain", "simulator", "storage", "testkit", "transport"]),
];
/// What the pure crate may use.
const PURE: &[&str] = &[
    "chacha20",
    "chrono",
    "email_address",
    "hmac",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "unicode-normalization",
    "unicode-segmentation",
    "uuid",
];

#[test]
fn no_new_edges_between_crates() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let ours: Vec<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ours.len(), EDGES.len(), "a crate is missing from the list: {ours:?}");
    for package in &metadata.packages {
        let allowed = EDGES.iter().find(|(name, _)| *name == package.name.as_str()).unwrap().1;
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        let mut uses: Vec<&str> = normal.clone().map(|d| d.name.as_str()).filter(|d| ours.contains(d)).collect();
        uses.sort_unstable();
        assert_eq!(uses, allowed, "edges of {}", package.name);
        for d in &package.dependencies {
            let test_only = d.kind == DependencyKind::Development;
            assert!(
                !test_only || !ours.contains(&d.name.as_str()) || d.name == "testkit",
                "tests of {} may use testkit only",
                package.name
            );
        }
        if package.name.as_str() == "domain" {
            assert!(normal.clone().all(|d| PURE.contains(&d.name.as_str())), "domain stays pure");
        }
        if normal.clone().any(|d| d.name == "reqwest") {
            assert!(
                ["clients", "transport", "load-tests"].contains(&package.name.as_str()),
                "reqwest lives in clients, in the command line's demo and in the load driver"
            );
        }
    }
}
