use super::*;

const MS: i64 = 1_000_000;

/// A backend, a path and a pool in virtual time: times in ns.
struct World {
    /// The timer fires evenly between these.
    timer: (i64, i64),
    rtt: i64,
    random: ChaCha8Rng,
}

impl World {
    fn new(timer: (i64, i64), rtt: i64) -> World {
        World { timer, rtt, random: ChaCha8Rng::seed_from_u64(99) }
    }

    fn ends(&mut self, number: u32, plan: Plan) -> Attempt {
        let fires = self.random.random_range(self.timer.0..=self.timer.1);
        let after = Duration::from_nanos(fires as u64);
        let ending = match plan {
            Plan::Watch => Ending::ClosedBefore { after, reset: false },
            Plan::Send(idle) => match idle.as_nanos() as i64 {
                idle if idle >= fires => Ending::ClosedBefore { after, reset: false },
                idle if idle + self.rtt >= fires => Ending::Reset,
                _ => Ending::Answered { status: 200 },
            },
        };
        Attempt {
            number,
            local: None,
            plan,
            ending,
            handshake: Some(Duration::from_nanos(self.rtt as u64)),
            due_ns: None,
            idle: None,
            late: None,
            retried: None,
        }
    }
}

fn settings(attempts: u32, precision: Option<Duration>) -> Settings {
    Settings {
        attempts,
        connections: 1000,
        rate: 200.0,
        max_time: Duration::from_secs(60),
        max_wait: Duration::from_secs(60),
        precision,
        watched_first: 16,
        seed: 1,
        retry: false,
    }
}

/// Plays a sweep in which results come `lag` plans late; gives the planner and the connections it opened.
fn play(mut planner: Planner, world: &mut World, lag: usize) -> (Planner, u32) {
    let mut under_way = std::collections::VecDeque::new();
    let mut opened = 0;
    loop {
        match planner.choose_next() {
            Next::Plan(plan) => {
                opened += 1;
                under_way.push_back(world.ends(opened, plan));
                if under_way.len() > lag {
                    planner.take(&under_way.pop_front().unwrap());
                }
            }
            Next::Wait => {
                planner.take(&under_way.pop_front().expect("it waits only for what is under way"));
            }
            Next::Done => break,
        }
    }
    for attempt in under_way {
        planner.take(&attempt);
    }
    planner.look();
    (planner, opened)
}

fn edges(planner: &Planner) -> (i64, i64) {
    (planner.edges[0].unwrap().at, planner.edges[1].unwrap().at)
}

#[test]
fn the_edges_of_an_exact_timer_are_found_to_microseconds() {
    let mut world = World::new((500 * MS, 500 * MS), 10 * MS);
    let (planner, opened) = play(Planner::new(&settings(2000, None)), &mut world, 150);
    assert_eq!(opened, 2000, "without a precision all attempts are made");
    let (opens, closes) = edges(&planner);
    assert!((opens - 490 * MS).abs() < 10_000, "{opens}");
    assert!((closes - 500 * MS).abs() < 10_000, "{closes}");
}

#[test]
fn a_requested_precision_ends_the_sweep_early_and_is_kept() {
    let mut world = World::new((500 * MS, 501 * MS), 10 * MS);
    let precision = Duration::from_micros(200);
    let (planner, opened) = play(Planner::new(&settings(10_000, Some(precision))), &mut world, 150);
    assert!(opened < 3000, "{opened} connections");
    let (opens, closes) = edges(&planner);
    assert!((opens - 490_500_000).abs() < 300_000, "{opens}");
    assert!((closes - 500_500_000).abs() < 300_000, "{closes}");
}

#[test]
fn a_timer_much_coarser_than_the_round_trip_still_has_its_edges() {
    // Looked at once a second: a window of 10 ms within a second of doubt.
    let mut world = World::new((4000 * MS, 5000 * MS), 10 * MS);
    let (planner, _) = play(Planner::new(&settings(3000, None)), &mut world, 150);
    let (opens, closes) = edges(&planner);
    assert!((opens - 4490 * MS).abs() < 100 * MS, "{opens}");
    assert!((closes - 4500 * MS).abs() < 100 * MS, "{closes}");
    assert!(planner.progress().lost > 5, "{}", planner.progress().lost);
}

#[test]
fn a_range_that_misses_the_window_is_moved_until_it_holds_it() {
    // The watched connections close at 500 ms, those in use at 400 ms: they count from the request, say.
    let mut watched = World::new((500 * MS, 500 * MS), 10 * MS);
    let mut used = World::new((400 * MS, 400 * MS), 10 * MS);
    let mut planner = Planner::new(&settings(3000, None));
    let mut number = 0;
    while let Next::Plan(plan) = planner.choose_next() {
        number += 1;
        let world = if plan == Plan::Watch { &mut watched } else { &mut used };
        planner.take(&world.ends(number, plan));
    }
    planner.look();
    let (opens, closes) = edges(&planner);
    assert!((opens - 390 * MS).abs() < MS && (closes - 400 * MS).abs() < MS, "{opens} {closes}");
}

#[test]
fn a_backend_that_closes_nothing_ends_the_sweep() {
    let mut planner = Planner::new(&settings(1000, None));
    let mut world = World::new((500 * MS, 500 * MS), 10 * MS);
    let mut number = 0;
    loop {
        match planner.choose_next() {
            Next::Plan(plan) => {
                number += 1;
                planner.take(&Attempt { ending: Ending::StillOpen, ..world.ends(number, plan) });
            }
            Next::Wait => panic!("every result is there"),
            Next::Done => break,
        }
    }
    assert_eq!(number, 16, "only the watched ones were opened");
}

#[test]
fn the_budget_is_kept_and_the_same_seed_plans_the_same() {
    let plans = |seed| {
        let mut planner = Planner::new(&Settings { seed, ..settings(300, None) });
        let mut world = World::new((500 * MS, 502 * MS), 10 * MS);
        let mut plans = Vec::new();
        while let Next::Plan(plan) = planner.choose_next() {
            plans.push(plan);
            planner.take(&world.ends(plans.len() as u32, plan));
        }
        plans
    };
    assert_eq!(plans(5).len(), 300);
    assert_eq!(plans(5), plans(5));
    assert_ne!(plans(5), plans(6));
    assert_eq!(plans(5).iter().skip(16).filter(|plan| **plan == Plan::Watch).count(), 14, "one in twenty");
}

#[test]
fn most_attempts_are_near_an_edge_and_some_everywhere() {
    let mut world = World::new((500 * MS, 500 * MS), 10 * MS);
    let (planner, _) = play(Planner::new(&settings(3000, None)), &mut world, 100);
    let near = |at: i64| planner.tried.iter().filter(|tried| (tried.idle_ns - at).abs() < MS).count();
    assert!(near(490 * MS) > 800 && near(500 * MS) > 800, "{} {}", near(490 * MS), near(500 * MS));
    let progress = planner.progress();
    assert!(progress.shares.iter().all(Option::is_some), "{:?}", progress.shares);
    assert!(progress.shares.contains(&Some(1.0)));
}
