//! A scenario of every seed.

use fastrand::Rng;

use crate::scenario::{Action, Approval, Deed, Kind, MINUTE, Profile, Rules, SECOND, Scenario, Spec, spec};

/// The scenario of a seed.
#[must_use]
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5145);
    let plain = rng.u8(0..10) < 4;
    let mut workspaces = shape(&mut rng, plain);
    for spec in &mut workspaces {
        colour(&mut rng, spec, plain);
    }
    let count = workspaces.len();
    let known = plain || rng.u8(0..10) > 0;
    let actions = if plain {
        let workspace = rng.usize(0..count.div_ceil(3));
        vec![Action { at: SECOND, workspace, deed: Deed::Change }]
    } else {
        deeds(&mut rng, count, known)
    };
    Scenario {
        seed,
        workspaces,
        actions,
        faults: weather(&mut rng),
        workers: rng.usize(1..=6),
        known,
        rules: Rules::default(),
        mutation: None,
    }
}

/// Who reads whom.
fn shape(rng: &mut Rng, dag: bool) -> Vec<Spec> {
    let size = match rng.u8(0..10) {
        0..=5 => rng.usize(2..=7),
        6..=8 => rng.usize(5..=12),
        _ => rng.usize(10..=24),
    };
    let mut reads: Vec<Vec<usize>> = vec![Vec::new(); size];
    match rng.u8(0..6) {
        0 => (1..size).for_each(|number| reads[number].push(number - 1)),
        1 => diamond(&mut reads),
        2 => layers(rng, &mut reads),
        3 => (1..size).for_each(|number| {
            // Who is read already is read more.
            for _ in 0..rng.usize(1..=2) {
                let one = rng.usize(0..number);
                let popular = reads[one].first().copied().filter(|_| rng.bool()).unwrap_or(one);
                reads[number].push(popular);
            }
        }),
        4 if !dag => (0..size).for_each(|number| {
            for _ in 0..rng.usize(0..=2) {
                reads[number].push(rng.usize(0..size));
            }
        }),
        5 if !dag && size > 2 => {
            // A cycle with a tail.
            let round = rng.usize(2..=size.min(4));
            (0..round).for_each(|number| reads[number].push((number + 1) % round));
            (round..size).for_each(|number| reads[number].push(number - 1));
        }
        _ => (1..size).for_each(|number| {
            for _ in 0..rng.usize(1..=3) {
                reads[number].push(rng.usize(0..number));
            }
        }),
    }
    for reads in &mut reads {
        reads.sort_unstable();
        reads.dedup();
    }
    reads.iter().map(|reads| spec(reads)).collect()
}

/// The first is read by all but the last, which reads those.
fn diamond(reads: &mut [Vec<usize>]) {
    let last = reads.len() - 1;
    for (number, reads) in reads.iter_mut().enumerate().skip(1) {
        *reads = if number == last && last > 1 { (1..last).collect() } else { vec![0] };
    }
}

fn layers(rng: &mut Rng, reads: &mut [Vec<usize>]) {
    let wide = rng.usize(1..=3);
    for (number, reads) in reads.iter_mut().enumerate().skip(wide) {
        let above = (number / wide - 1) * wide;
        for _ in 0..rng.usize(1..=2) {
            reads.push(above + rng.usize(0..wide));
        }
    }
}

fn colour(rng: &mut Rng, spec: &mut Spec, plain: bool) {
    spec.kind = match rng.u8(0..10) {
        0..=6 => Kind::Follows,
        7 => Kind::CutOff,
        _ => Kind::DataOnly,
    };
    spec.outputs = rng.u8(1..=2);
    spec.plan_ms = rng.u64(3 * SECOND..60 * SECOND);
    spec.apply_ms = rng.u64(3 * SECOND..2 * MINUTE);
    if !plain {
        spec.approval = match rng.u8(0..12) {
            0 => Approval::Confirmed(rng.u64(SECOND..3 * 60 * MINUTE)),
            1 => Approval::Discarded(rng.u64(SECOND..90 * MINUTE)),
            2 => Approval::Forgotten,
            _ => Approval::Auto,
        };
    }
}

fn deeds(rng: &mut Rng, count: usize, known: bool) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut at = 0;
    if !known {
        // Sluice learns of a workspace when that completes a run.
        for workspace in 0..count {
            at += rng.u64(SECOND..2 * MINUTE);
            actions.push(Action { at, workspace, deed: Deed::Run });
        }
    }
    for _ in 0..rng.usize(1..=6) {
        at += if rng.bool() { rng.u64(0..30 * SECOND) } else { rng.u64(0..40 * MINUTE) };
        let workspace = if rng.bool() { rng.usize(0..count.div_ceil(3)) } else { rng.usize(0..count) };
        let deed = match rng.u8(0..100) {
            0..=44 => Deed::Change,
            45..=54 => Deed::Run,
            55..=58 => Deed::Confirm,
            59..=61 => Deed::Discard,
            62..=65 => Deed::Cancel,
            66..=79 => Deed::Break(rng.u8(1..=3)),
            80..=83 => Deed::Destroy,
            84..=86 => Deed::Rename,
            87..=89 => Deed::Delete,
            90..=93 => Deed::Remake,
            _ => Deed::Lock,
        };
        actions.push(Action { at, workspace, deed });
        let later = at + rng.u64(MINUTE..4 * 60 * MINUTE);
        match deed {
            Deed::Break(_) if rng.u8(0..4) > 0 => actions.push(Action { at: later, workspace, deed: Deed::Fix }),
            Deed::Lock if rng.u8(0..4) > 0 => actions.push(Action { at: later, workspace, deed: Deed::Unlock }),
            _ => {}
        }
    }
    actions.sort_by_key(|action| action.at);
    actions
}

/// What goes wrong: in every seed something else, in some nothing.
fn weather(rng: &mut Rng) -> Profile {
    let mut often = |most: u16| if rng.bool() { 0 } else { rng.u16(0..=most) };
    let mut profile = Profile {
        lose: often(3_000),
        late: often(3_000),
        double: often(3_000),
        table_write: often(400),
        table_read: often(300),
        conflict: often(400),
        api: often(500),
        throttle: often(500),
        death: often(150),
        slow: often(100),
        ..Profile::default()
    };
    if rng.bool() {
        profile.skew_ms = rng.i64(-90_000..=90_000);
    }
    if rng.u8(0..3) == 0 {
        profile.state_lag_ms = rng.u64(1..3 * MINUTE);
    }
    if rng.u8(0..4) == 0 {
        let from = rng.u64(0..10 * MINUTE);
        profile.storm = Some((from, from + rng.u64(SECOND..20 * MINUTE)));
    }
    profile
}
