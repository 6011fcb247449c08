//! A scenario of every seed.

use fastrand::Rng;
use sluice_domain::Autonomy;

use crate::program::Habits;
use crate::scenario::{Action, Approval, Deed, Kind, MINUTE, Profile, Rules, SECOND, Scenario, Spec, spec};

/// The scenario of a seed.
#[must_use]
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5145);
    if rng.u8(0..60) == 0 {
        return crowd(seed, &mut rng);
    }
    let plain = rng.u8(0..10) < 4;
    let mut workspaces = shape(&mut rng, plain);
    for spec in &mut workspaces {
        colour(&mut rng, spec, plain);
    }
    let count = workspaces.len();
    let rules = rules(&mut rng, plain);
    let known = plain || !rules.backfill && rng.u8(0..10) > 0;
    let mut actions = if plain {
        let workspace = rng.usize(0..count.div_ceil(3));
        vec![Action { at: SECOND, workspace, deed: Deed::Change }]
    } else {
        deeds(&mut rng, count, known || rules.backfill, rules)
    };
    if rules.backfill && rng.u8(0..3) == 0 {
        actions.clear();
    }
    let mut faults = weather(&mut rng);
    faults.lose_persons_ends = rules.survey && rng.u8(0..3) > 0;
    let workers = rng.usize(1..=6);
    let mut scenario = Scenario { seed, workspaces, actions, faults, workers, known, rules, mutation: None };
    gate(&mut rng, plain, &mut scenario);
    scenario
}

/// In every other scenario configurations use some of what they read, and some show their plans.
fn gate(rng: &mut Rng, plain: bool, scenario: &mut Scenario) {
    if rng.bool() {
        return;
    }
    let sometimes = rng.u8(0..3) == 0;
    for spec in &mut scenario.workspaces {
        spec.habits = Habits {
            splits: rng.bool(),
            partly: rng.u8(0..4) > 0,
            sometimes: sometimes && rng.bool(),
            gated: rng.u8(0..4) > 0,
            salt: rng.u8(..),
        };
    }
    for action in &mut scenario.actions {
        let may = matches!(action.deed, Deed::Run | Deed::Change | Deed::Speculate) && !plain;
        if may && rng.u8(0..5) < 2 {
            action.deed = Deed::Rewrite;
        }
    }
}

/// Many that read the same, and few requests allowed.
fn crowd(seed: u64, rng: &mut Rng) -> Scenario {
    let wide = rng.usize(40..=80);
    let mut workspaces = vec![spec(&[])];
    for number in 1..=wide {
        workspaces.push(spec(&[if rng.u8(0..5) == 0 { rng.usize(0..number) } else { 0 }]));
    }
    for spec in &mut workspaces {
        colour(rng, spec, true);
    }
    workspaces[0].kind = Kind::Follows;
    let mut faults = weather(rng);
    if rng.bool() {
        faults.slow = 0;
    }
    let per_second = *rng.choice(&[6, 8, 12, 30]).unwrap_or(&6);
    Scenario {
        seed,
        workspaces,
        actions: vec![Action { at: SECOND, workspace: 0, deed: Deed::Change }],
        faults,
        workers: rng.usize(6..=48),
        known: true,
        rules: Rules { per_second, survey: rng.bool(), ..Rules::default() },
        mutation: None,
    }
}

/// What Sluice is told: in most scenarios nothing.
fn rules(rng: &mut Rng, plain: bool) -> Rules {
    let mut rules = Rules { survey: rng.u8(0..3) == 0, ..Rules::default() };
    if rng.u8(0..6) == 0 {
        rules.settle_ms = rng.u64(5 * SECOND..=MINUTE);
    }
    if rng.u8(0..6) == 0 {
        rules.budgets.concurrent_runs = rng.u32(1..=3);
    }
    if rng.u8(0..8) == 0 {
        rules.budgets.runs_per_hour = rng.u32(1..=8);
    }
    if rng.u8(0..8) == 0 {
        rules.per_second = 6;
    }
    if plain {
        return rules;
    }
    if rng.u8(0..8) == 0 {
        rules.budgets.depth = rng.u32(1..=3);
    }
    if rng.u8(0..8) == 0 {
        rules.budgets.wave_runs = rng.u32(1..=4);
    }
    rules.autonomy = match rng.u8(0..16) {
        0 => Autonomy::Observe,
        1 | 2 => Autonomy::Plan,
        _ => Autonomy::Run,
    };
    rules.backfill = rng.u8(0..10) == 0;
    rules.survey |= rules.backfill;
    rules
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

fn deeds(rng: &mut Rng, count: usize, known: bool, rules: Rules) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut at = if rules.backfill { 20 * MINUTE } else { 0 };
    if !known {
        // Sluice learns of a workspace when that completes a run.
        for workspace in 0..count {
            at += rng.u64(SECOND..2 * MINUTE);
            actions.push(Action { at, workspace, deed: Deed::Run });
        }
    }
    let tags = rules.autonomy != Autonomy::Run || rng.u8(0..6) == 0;
    let pauses = rng.u8(0..8) == 0;
    for _ in 0..rng.usize(1..=6) {
        at += if rng.bool() { rng.u64(0..30 * SECOND) } else { rng.u64(0..40 * MINUTE) };
        let workspace = if rng.bool() { rng.usize(0..count.div_ceil(3)) } else { rng.usize(0..count) };
        let deed = deed(rng, rules);
        actions.push(Action { at, workspace, deed });
        let later = at + rng.u64(MINUTE..4 * 60 * MINUTE);
        match deed {
            Deed::Break(_) if rng.u8(0..4) > 0 => actions.push(Action { at: later, workspace, deed: Deed::Fix }),
            Deed::Lock if rng.u8(0..4) > 0 => actions.push(Action { at: later, workspace, deed: Deed::Unlock }),
            _ => {}
        }
        let near = (at + rng.u64(0..5 * MINUTE)).saturating_sub(rng.u64(0..2 * MINUTE));
        if tags && rng.bool() {
            let tag = *rng.choice(&TAGS).unwrap_or(&None);
            actions.push(Action { at: near, workspace: rng.usize(0..count), deed: Deed::Tag(tag) });
        }
        if pauses && rng.bool() {
            actions.push(Action { at: near, workspace: 0, deed: Deed::Pause });
            if rng.u8(0..4) > 0 {
                let at = near + rng.u64(SECOND..90 * MINUTE);
                actions.push(Action { at, workspace: 0, deed: Deed::Resume });
            }
        }
    }
    actions.sort_by_key(|action| action.at);
    actions
}

const TAGS: [Option<Autonomy>; 4] = [None, Some(Autonomy::Observe), Some(Autonomy::Plan), Some(Autonomy::Run)];

fn deed(rng: &mut Rng, rules: Rules) -> Deed {
    match rng.u8(0..112) {
        0..=44 => Deed::Change,
        55..=58 => Deed::Confirm,
        59..=61 => Deed::Discard,
        62..=65 => Deed::Cancel,
        66..=79 => Deed::Break(rng.u8(1..=3)),
        80..=83 => Deed::Destroy,
        84..=86 => Deed::Rename,
        87..=89 => Deed::Delete,
        90..=93 => Deed::Remake,
        94..=99 => Deed::Lock,
        100..=103 => Deed::Partly,
        104..=106 => Deed::Speculate,
        // Of what is pushed nobody tells.
        107..=110 if rules.survey => Deed::Push,
        111 => Deed::Survey,
        _ => Deed::Run,
    }
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
