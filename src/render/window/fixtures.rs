//! A sweep to be drawn in tests.

use std::collections::BTreeMap;

use crate::odds::map::{self, Fate, Sample};
use crate::report::sweep::{Lateness, SWEEP_SCHEMA_VERSION, Sweep, SweepAttempt, SweepCounts, SweepLimits};
use crate::report::{Cause, Party};

const MS: i64 = 1_000_000;

/// A toy backend of 500 ms at 5 ms each way; the timer fires within a millisecond.
pub fn sweep() -> Sweep {
    let closes: Vec<i64> = (0..50).map(|step| 500 * MS + step * 20_000).collect();
    let samples: Vec<Sample> = (0..800)
        .map(|step| {
            let idle_ns = 480 * MS + step * 37_500;
            let fires = closes[(step * 7 % 50) as usize];
            let fate = match idle_ns {
                idle if idle >= fires => Fate::Closed,
                idle if idle + 10 * MS < fires => Fate::Answered,
                _ if step % 40 == 0 => Fate::Lost(Some(Cause::UnreadRequest)),
                _ => Fate::Lost(Some(Cause::CrossedFin)),
            };
            Sample { idle_ns, fate }
        })
        .collect();
    let map = map::map(&samples, &closes, Some(10 * MS), 7);
    let of = |wanted: fn(&Fate) -> bool| samples.iter().filter(|it| wanted(&it.fate)).count() as u64;
    let lost = of(|fate| matches!(fate, Fate::Lost(_)));
    let mut by_cause = BTreeMap::new();
    for sample in &samples {
        if let Fate::Lost(Some(cause)) = sample.fate {
            *by_cause.entry(cause).or_default() += 1;
        }
    }
    Sweep {
        schema: SWEEP_SCHEMA_VERSION,
        backend: Party { name: "toy backend".to_owned(), version: None, idle_timeout_ns: Some(500 * MS) },
        place: "wire".to_owned(),
        delay_ns: Some(5 * MS),
        rtt_ns: Some(10 * MS),
        by_packets: true,
        seed: 7,
        limits: SweepLimits {
            attempts: 850,
            connections: 2000,
            rate: 250.0,
            time_ns: 300_000 * MS,
            precision_ns: None,
        },
        elapsed_ns: 4_310 * MS,
        side_by_side: 131,
        interrupted: false,
        precise: None,
        complete: Some(true),
        notes: vec!["not every answer was a success: attempt 12 got 503".to_owned()],
        counts: SweepCounts {
            connections: 850,
            watched: 50,
            answered: of(|fate| *fate == Fate::Answered),
            closed_before: of(|fate| *fate == Fate::Closed),
            lost,
            retried: 0,
            proven: lost,
            unusable: 0,
        },
        by_cause,
        timer: map::timer(&closes),
        lateness: Some(Lateness { median_ns: 4_000, p99_ns: 31_000, max_ns: 212_000 }),
        window: map.window,
        expected: map.expected,
        bins: map.bins,
    }
}

/// A connection of each kind.
pub fn attempts() -> Vec<SweepAttempt> {
    let attempt = SweepAttempt {
        number: 1,
        client: Some("192.0.2.1:40000".to_owned()),
        planned_ns: Some(495 * MS),
        idle_ns: Some(495_060_000),
        late_ns: Some(4_000),
        fate: "lost".to_owned(),
        detail: "connection reset".to_owned(),
        cause: Some(Cause::CrossedFin),
        timer_ns: None,
        retried: None,
    };
    let watched = SweepAttempt {
        number: 2,
        planned_ns: None,
        idle_ns: None,
        late_ns: None,
        fate: "closed-before".to_owned(),
        detail: "FIN".to_owned(),
        cause: None,
        timer_ns: Some(500_400_000),
        ..attempt.clone()
    };
    vec![attempt, watched]
}
