//! A scenario of every seed.

use fastrand::Rng;
use sluice_domain::gate::TASK_SECONDS_MAX;

use crate::gate::scenario::{Act, Ask, CheckSpec, Fate, Faults, Rotation, Say, Scenario, Standing, TaskSpec, Turn};
use crate::scenario::{MINUTE, SECOND};

/// The scenario of a seed.
#[must_use]
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6a7e);
    let tasks: Vec<TaskSpec> = (0..rng.usize(1..=3)).map(|_| task(&mut rng)).collect();
    let asks = (0..rng.usize(1..=4)).map(|_| ask(&mut rng, tasks.len())).collect();
    let calm = rng.u8(0..6) == 0;
    let faults = if calm { Faults::default() } else { weather(&mut rng) };
    let workers = if calm || rng.bool() { 16 } else { rng.usize(3..8) };
    Scenario { seed, tasks, asks, faults, workers, mutation: None }
}

fn task(rng: &mut Rng) -> TaskSpec {
    let standing = match rng.u8(0..20) {
        0 => Standing::Disabled,
        1 => Standing::Invalid,
        _ => Standing::Good,
    };
    let timeout = *rng.choice(&[30, 60, 300, 900, 1_800, 1_800, 3_000, TASK_SECONDS_MAX]).unwrap_or(&1_800);
    let mut checks: Vec<CheckSpec> = Vec::new();
    for number in 0..rng.usize(1..=5) {
        let turns = turns(rng);
        let needs = (0..number).filter(|_| rng.u8(0..4) == 0).collect();
        let timeout = if rng.u8(0..3) == 0 { rng.u32(5..900) } else { timeout };
        checks.push(CheckSpec {
            turns,
            advisory: rng.u8(0..3) == 0,
            lenient: rng.u8(0..3) == 0,
            needs,
            timeout,
            elsewhere: rng.u8(0..10) == 0,
        });
    }
    TaskSpec { standing, timeout, checks }
}

fn turns(rng: &mut Rng) -> Vec<Turn> {
    let mut turns = Vec::new();
    let passing = match rng.u8(0..8) {
        0 => rng.usize(1..4),
        1 => rng.usize(1..9),
        _ => 0,
    };
    for _ in 0..passing {
        let act = match rng.u8(0..5) {
            0 | 1 => Act::Transient,
            2 => Act::Throttled(rng.u64(500..30 * SECOND)),
            3 => Act::Panic,
            _ => Act::Again(rng.u64(5 * SECOND..3 * MINUTE)),
        };
        turns.push(Turn { takes: takes(rng), act });
    }
    let act = match rng.u8(0..20) {
        0..=6 => Act::Pass,
        7..=9 => Act::Fail,
        10 => Act::Permanent,
        11 => Act::Transient,
        12 => Act::Panic,
        13 => Act::Throttled(rng.u64(500..30 * SECOND)),
        14 => Act::Again(rng.u64(5 * SECOND..3 * MINUTE)),
        _ => Act::HandOn(says(rng)),
    };
    turns.push(Turn { takes: takes(rng), act });
    turns
}

fn takes(rng: &mut Rng) -> u64 {
    match rng.u8(0..6) {
        0 => rng.u64(20 * SECOND..100 * SECOND),
        1 => rng.u64(SECOND..20 * SECOND),
        _ => rng.u64(1..900),
    }
}

/// What another checker says: often as it should, sometimes never, late, twice, or both ways.
fn says(rng: &mut Rng) -> Vec<Say> {
    let say =
        |rng: &mut Rng, after, last| Say { after, last, copies: 1 + rng.u8(0..8) / 7, forged: rng.u8(0..12) == 0 };
    let (mut says, mut after) = (Vec::new(), 0);
    for _ in 0..rng.usize(0..5) {
        let longest = if rng.u8(0..6) == 0 { 12 * MINUTE } else { 4 * MINUTE };
        after += rng.u64(0..longest);
        says.push(say(rng, after, None));
    }
    for _ in 0..*rng.choice(&[0, 1, 1, 1, 1, 2, 2, 3]).unwrap_or(&1) {
        let longest = match rng.u8(0..8) {
            0 => 40 * MINUTE,
            1..=3 => 2 * SECOND,
            _ => 3 * MINUTE,
        };
        after += rng.u64(0..longest);
        let last = rng.u8(0..3) > 0;
        says.push(say(rng, after, Some(last)));
    }
    says
}

fn ask(rng: &mut Rng, tasks: usize) -> Ask {
    let fate = (rng.u8(0..8) == 0).then(|| {
        let fate = *rng.choice(&[Fate::Canceled, Fate::Deleted, Fate::Revoked]).unwrap_or(&Fate::Canceled);
        let longest = if rng.bool() { 30 * SECOND } else { 20 * MINUTE };
        (rng.u64(0..longest), fate)
    });
    Ask {
        at: rng.u64(0..5 * MINUTE),
        task: rng.usize(0..tasks),
        copies: 1 + rng.u8(0..5) / 4 + rng.u8(0..9) / 8,
        token_life: (rng.u8(0..10) == 0).then(|| *rng.choice(&[MINUTE, 10 * MINUTE, 65 * MINUTE]).unwrap_or(&MINUTE)),
        fate,
        old: rng.u8(0..10) == 0,
        fussy: rng.u8(0..15) == 0,
    }
}

fn weather(rng: &mut Rng) -> Faults {
    let often = |rng: &mut Rng| if rng.bool() { 0 } else { *rng.choice(&[20, 100, 400, 1_500]).unwrap_or(&20) };
    let mut faults = Faults {
        table_read: often(rng),
        table_write: often(rng),
        conflict: often(rng),
        api: often(rng),
        throttle: often(rng),
        storm: None,
        outage: None,
        death: often(rng) / 3,
        slow: often(rng) / 3,
        outlives: rng.u8(0..4) == 0,
        lose: if rng.u8(0..8) == 0 { 10_000 } else { often(rng) },
        late: often(rng),
        double: often(rng),
        sweep: often(rng),
        skew: if rng.u8(0..3) == 0 { rng.u64(100..4_000) } else { 0 },
        rotation: (rng.u8(0..8) == 0).then(|| Rotation { at: rng.u64(0..10 * MINUTE), hasty: rng.bool() }),
    };
    let span = |rng: &mut Rng, longest: u64| {
        let from = rng.u64(0..20 * MINUTE);
        (from, from + rng.u64(10 * SECOND..longest))
    };
    match rng.u8(0..10) {
        0 => (faults.storm, faults.sweep) = (Some(span(rng, 3 * MINUTE)), 0),
        1 => (faults.outage, faults.sweep) = (Some(span(rng, 2 * MINUTE)), 0),
        _ => {}
    }
    faults
}
