//! Simulated worlds: the pure cores of event, journal, publication and job lease under one seeded scheduler with virtual
//! time. Requests and answers are dropped, doubled and delayed; nodes crash, stall and come back; heads are held; channels
//! lose answers. A database that behaves as the SQL says is the only thing that lasts.
//!
//! A failure prints its seed; `WORLD_SEED=n cargo test -p actors worlds -- --nocapture` plays that world again and prints
//! what happened in it. `WORLDS=n` plays more of them.

mod database;
mod entering;
mod publishing;
mod scheduler;

use database::Database;
use entering::Customer;
use publishing::Upstream;
use rand::Rng;
use scheduler::{Millis, Scheduler};

/// Worlds of a run, unless `WORLDS` says otherwise.
const WORLDS: u64 = 1_000;
/// Nodes of a world.
const NODES: usize = 2;
/// Faults end here; what is left must settle.
const FAULTS_END: Millis = 120_000;
/// By then everything has.
const ENDS: Millis = 3_600_000;

/// What happens.
#[derive(Debug)]
enum Action {
    Entering(entering::Action),
    Publishing(publishing::Action),
    /// A node loses everything it had in memory.
    Crash(usize),
    /// It starts again.
    Start(usize),
    /// A node does nothing for a while, and then goes on as if nothing had been.
    Stall(usize),
}

/// A process: what it has in memory is gone with its life.
struct Node {
    life: u32,
    up: bool,
    stalled_until: Millis,
    journal: entering::Journal,
}

struct World {
    scheduler: Scheduler<Action>,
    database: Database,
    nodes: Vec<Node>,
    customers: Vec<Customer>,
    upstream: Upstream,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut scheduler = Scheduler::new(seed);
        let nodes = (0..NODES)
            .map(|_| Node { life: 0, up: true, stalled_until: 0, journal: entering::journal(&mut scheduler) })
            .collect();
        let mut world =
            Self { database: Database::new(), customers: Vec::new(), upstream: Upstream::default(), nodes, scheduler };
        world.open_shop();
        world.begin_publishing();
        for node in 0..NODES {
            world.plan_fault(node);
        }
        world
    }

    fn plan_fault(&mut self, node: usize) {
        let after = self.scheduler.rng.random_range(500..30_000);
        if self.scheduler.now + after < FAULTS_END {
            let fault = if self.scheduler.chance(0.6) { Action::Crash(node) } else { Action::Stall(node) };
            self.scheduler.after(after, fault);
        }
    }

    /// The node, if it still lives the life that an action belongs to and is not stalled; a stalled one comes back to it.
    fn is_alive(&self, node: usize, life: u32) -> bool {
        self.nodes[node].up && self.nodes[node].life == life
    }

    fn stalled(&self, action: &Action) -> Option<Millis> {
        let node = match action {
            Action::Entering(a) => a.node(),
            Action::Publishing(a) => a.node(),
            Action::Crash(_) | Action::Start(_) | Action::Stall(_) => None,
        }?;
        Some(self.nodes[node].stalled_until).filter(|until| *until > self.scheduler.now)
    }

    fn run(&mut self) {
        while let Some(action) = self.scheduler.next(ENDS) {
            if let Some(until) = self.stalled(&action) {
                let wait = until - self.scheduler.now;
                self.scheduler.after(wait, action);
                continue;
            }
            if !matches!(action, Action::Publishing(publishing::Action::Poll { .. } | publishing::Action::Beat(_))) {
                self.scheduler.note(|| format!("{action:?}"));
            }
            match action {
                Action::Entering(a) => self.entering(a),
                Action::Publishing(a) => self.publishing(a),
                Action::Crash(node) => {
                    self.nodes[node].up = false;
                    self.nodes[node].life += 1;
                    let after = self.scheduler.rng.random_range(50..8_000);
                    self.scheduler.after(after, Action::Start(node));
                }
                Action::Start(node) => {
                    self.nodes[node].up = true;
                    self.nodes[node].journal = entering::journal(&mut self.scheduler);
                    self.plan_fault(node);
                    self.poll(node);
                }
                Action::Stall(node) => {
                    self.nodes[node].stalled_until = self.scheduler.now + self.scheduler.rng.random_range(100..40_000);
                    self.plan_fault(node);
                }
            }
        }
    }
}

fn play(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    world.run();
    let found = world.judge_entries().and_then(|()| world.judge_publications());
    if std::env::var("WORLD_SEED").is_ok() {
        world.scheduler.print();
    }
    found
}

#[test]
fn a_thousand_worlds_keep_their_promises() {
    if let Ok(seed) = std::env::var("WORLD_SEED") {
        let seed = seed.parse().expect("WORLD_SEED is a number");
        return play(seed).unwrap_or_else(|e| panic!("world {seed}: {e}"));
    }
    let worlds = std::env::var("WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(WORLDS);
    let from: u64 = rand::random::<u32>().into();
    for seed in (1..=worlds / 2).chain(from..from + worlds.div_ceil(2)) {
        if let Err(e) = play(seed) {
            panic!("world {seed}: {e}\nWORLD_SEED={seed} cargo test -p actors worlds -- --nocapture plays it again");
        }
    }
}

#[test]
fn a_seed_plays_the_same_world_again() {
    for seed in 1..20 {
        let story = |seed| {
            let mut world = World::new(seed);
            world.run();
            (world.scheduler.steps(), world.database.summary())
        };
        assert_eq!(story(seed), story(seed));
    }
}
