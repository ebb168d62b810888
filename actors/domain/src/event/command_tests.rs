use super::*;
use crate::catalog::Objective;
use crate::ids::{EventId, StoreId, UserId};
use crate::offer::{Expected, Range, Tier};
use crate::rule::Broken;
use proptest::prelude::*;

fn at(s: i64) -> Instant {
    chrono::DateTime::from_timestamp(1_800_000_000 + s, 0).unwrap()
}

fn option() -> EventOption {
    EventOption {
        id: "o1".into(),
        tier: Tier::Low,
        title: "제목".into(),
        summary: "s".into(),
        mechanics: "m".into(),
        prizes: vec![Prize { name: "쿠폰".into(), quantity: 3, unit_value_won: 1000 }],
        duration_days: 7,
        channels: vec![Channel::Naver],
        expected: Expected {
            participants: Range { low: 1, high: 2 },
            cost_won: 3000,
            revenue_won: Range { low: 1, high: 2 },
            roi_percent: Range { low: 0, high: 0 },
        },
        rationale: vec![],
    }
}

fn plan_of(f: impl FnOnce(&mut PlanInput)) -> Command {
    let mut p =
        PlanInput { option: option(), title: None, starts_at: None, ends_at: None, prizes: None, visit_weight: None };
    f(&mut p);
    Command::Plan(Box::new(p))
}

fn run(event: &mut Event, command: Command, now: Instant) -> Result<Vec<Fact>, Rejection> {
    let facts = decide(event, command, now)?;
    for f in &facts {
        event.apply(f, now);
    }
    Ok(facts)
}

fn ready() -> Event {
    let mut e = Event::draft(EventId::new(), "s".into(), UserId::new(), StoreId::new(), Objective::Sales, at(0));
    run(&mut e, plan_of(|_| {}), at(0)).unwrap();
    run(&mut e, Command::ChooseContent(vec![ImageId::new()]), at(0)).unwrap();
    assert_eq!(e.status, Status::Planned);
    run(&mut e, Command::ChooseChannels(vec![Channel::Naver]), at(0)).unwrap();
    assert_eq!(e.status, Status::Ready);
    e
}

fn approve_now() -> Command {
    Command::Approve { commitment: [7; 32], distribution: DistributionId::new(), content: vec![] }
}

#[test]
fn dates_change_nothing_else_but_title_prizes_and_option_unchoose_content() {
    let mut e = ready();
    run(&mut e, plan_of(|p| p.ends_at = Some(at(90_000))), at(1)).unwrap();
    assert_eq!((e.status, e.content.len(), e.ends_at), (Status::Ready, 1, Some(at(90_000))));
    let changes: [fn(&mut PlanInput); 3] = [
        |p| p.title = Some("다른 제목".into()),
        |p| p.prizes = Some(vec![Prize { name: "빵".into(), quantity: 1, unit_value_won: 1 }]),
        |p| p.option.id = "o2".into(),
    ];
    for change in changes {
        let mut e = ready();
        run(&mut e, plan_of(change), at(1)).unwrap();
        assert_eq!((e.status, e.content.len()), (Status::Planned, 0));
        assert_eq!(e.channels, [Channel::Naver], "channels stay chosen");
    }
    let mut e = ready();
    run(&mut e, Command::Edit { title: Some("새 제목".into()), ends_at: None }, at(1)).unwrap();
    assert_eq!((e.status, e.content.len()), (Status::Planned, 0));
}

#[test]
fn periods_are_checked() {
    let e = Event::draft(EventId::new(), "s".into(), UserId::new(), StoreId::new(), Objective::Sales, at(0));
    for (start, end) in [(10, 10), (10, 5), (-20, -10), (0, 400 * 86_400), (400 * 86_400, 401 * 86_400)] {
        let refused = decide(
            &e,
            plan_of(|p| {
                p.starts_at = Some(at(start));
                p.ends_at = Some(at(end));
            }),
            at(0),
        );
        assert!(
            matches!(refused, Err(Rejection::Invalid { broken: Broken { code: "period-invalid", .. }, .. })),
            "{start} {end}"
        );
    }
    let mut e = ready();
    assert!(decide(&e, Command::Edit { title: None, ends_at: Some(at(5)) }, at(0)).is_err());
    run(&mut e, Command::Edit { title: None, ends_at: Some(at(8 * 86_400)) }, at(0)).unwrap();
    assert_eq!(e.status, Status::Ready);
}

#[test]
fn approval_opens_now_or_later() {
    let mut now = ready();
    run(&mut now, approve_now(), at(1)).unwrap();
    assert_eq!(now.status, Status::Live);
    assert_eq!(now.commitment, Some([7; 32]));
    let mut later = ready();
    run(&mut later, plan_of(|p| p.starts_at = Some(at(100))), at(0)).unwrap();
    run(&mut later, approve_now(), at(1)).unwrap();
    assert_eq!(later.status, Status::Scheduled);
    assert_eq!(decide(&later, approve_now(), at(2)), Err(Rejection::WrongState(Status::Scheduled)));
    assert!(
        matches!(decide(&ready(), approve_now(), at(8 * 86_400)), Err(Rejection::Invalid { .. })),
        "its end is past"
    );
}

#[test]
fn personal_data_is_destroyed_of_what_is_over_only() {
    let mut e = ready();
    let (record, purge) = (Command::RecordDestroyed { entries: 2 }, Command::Purge { entries: 3 });
    for command in [&record, &purge] {
        assert_eq!(decide(&e, command.clone(), at(0)), Err(Rejection::WrongState(Status::Ready)));
    }
    run(&mut e, approve_now(), at(1)).unwrap();
    run(&mut e, Command::Close { by_time: false }, at(2)).unwrap();
    let refused = decide(&e, record.clone(), at(3));
    assert_eq!(refused, Err(Rejection::WrongState(Status::Closed)), "nobody has lost yet");
    let mut forgone = e.clone();
    assert_eq!(run(&mut forgone, purge.clone(), at(3)).unwrap(), [Fact::Purged { entries: 3 }]);
    assert!(!forgone.drawn);
    e.apply(&Fact::Drawn { round: 1, winners: 1 }, at(3));
    assert_eq!(run(&mut e, record.clone(), at(4)).unwrap(), [Fact::Destroyed { entries: 2 }]);
    assert_eq!(e.status, Status::Drawn);
    assert_eq!(run(&mut e, purge.clone(), at(5)).unwrap(), [Fact::Purged { entries: 3 }]);
    assert!(e.status == Status::Purged && e.drawn);
    for command in [record, purge] {
        assert_eq!(decide(&e, command, at(6)), Err(Rejection::WrongState(Status::Purged)));
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0i64..30, 0i64..60).prop_map(|(s, d)| plan_of(|p| {
            p.starts_at = Some(at(s));
            p.ends_at = Some(at(s + d));
        })),
        Just(Command::Edit { title: Some("다른".into()), ends_at: None }),
        (0i64..100).prop_map(|s| Command::Edit { title: Some("끝".into()), ends_at: Some(at(s)) }),
        Just(Command::ChooseContent(vec![ImageId::new()])),
        Just(Command::ChooseChannels(vec![Channel::Kakao])),
        Just(approve_now()),
        Just(Command::Open),
        Just(Command::Pause { reason: None }),
        Just(Command::Resume),
        Just(Command::Close { by_time: false }),
        Just(Command::Cancel),
        Just(Command::VoidVisitPapers),
        Just(Command::RecordDestroyed { entries: 3 }),
        Just(Command::Purge { entries: 3 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// For commands in any order: a fact always follows the table, what needs a plan has one,
    /// and nothing but the end changes after approval.
    #[test]
    fn any_history_keeps_the_invariants(commands in prop::collection::vec(any_command(), 1..40)) {
        let mut e = Event::draft(EventId::new(), "s".into(), UserId::new(), StoreId::new(), Objective::Sales, at(0));
        for (i, command) in commands.into_iter().enumerate() {
            let before = e.clone();
            let now = at(i as i64);
            if let Ok(facts) = run(&mut e, command, now) {
                prop_assert_eq!(e.revision, before.revision + facts.len() as i64);
                if e.status != before.status {
                    prop_assert!(Move::ALL.iter().any(|m| before.status.after(*m) == Some(e.status))
                        || (before.status.is_drafting() && e.status.is_drafting()), "{} to {}", before.status, e.status);
                }
                if !before.status.is_drafting() {
                    prop_assert_eq!((&e.title, &e.prizes, &e.channels, &e.content), (&before.title, &before.prizes, &before.channels, &before.content));
                    prop_assert!(e.ends_at >= before.ends_at);
                }
            } else {
                prop_assert_eq!(&e, &before);
            }
            // A draft may be called off, and purged after that.
            if !matches!(e.status, Status::Draft | Status::Cancelled | Status::Purged) {
                prop_assert!(e.title.is_some() && e.starts_at < e.ends_at && !e.prizes.is_empty());
            }
            if matches!(e.status, Status::Ready | Status::Scheduled | Status::Live) {
                prop_assert!(!e.channels.is_empty());
            }
        }
    }
}
