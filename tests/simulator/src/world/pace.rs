//! Turns to ask HCP Terraform, as the table deals them out, and whether everybody keeps to them.

use std::collections::VecDeque;

use sluice_domain::pace::{Lane, Rhythm};

use super::World;
use crate::mutation::Mutation;
use crate::ports::Seat;
use crate::scenario::{MINUTE, SECOND};

/// Longest pause that HCP Terraform's word makes everybody keep, in milliseconds, as `sluice-aws` has it.
const SLOW_LONGEST_MS: u64 = 300_000;

/// How many lists of runs HCP Terraform allows in a minute.
const LISTS_PER_MINUTE: usize = 30;

/// Turns and requests.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// All requests.
    pub requests: u64,
    /// Most requests in one second.
    pub per_second_max: usize,
    /// Most look-ups in run lists in one minute.
    pub finds_per_minute_max: usize,
    /// Turns dealt out.
    pub turns: u64,
    /// Writes of the table that they cost.
    pub turn_writes: u64,
    lanes: [Dealt; 2],
    requests_lately: VecDeque<u64>,
    finds_lately: VecDeque<u64>,
    turns_lately: VecDeque<u64>,
    list_turns_lately: VecDeque<u64>,
}

/// One lane.
#[derive(Debug, Clone, Copy, Default)]
struct Dealt {
    /// The time of the next regular turn, in microseconds.
    next_us: u64,
    /// No turn may be dealt out for a time before this, in microseconds.
    held_until_us: u64,
}

fn slot(lane: Lane) -> usize {
    match lane {
        Lane::Work | Lane::Bulk => 0,
        Lane::RunLists => 1,
    }
}

/// How many there have been within `width`, this one included.
fn slide(window: &mut VecDeque<u64>, at: u64, width: u64) -> usize {
    window.push_back(at);
    while window.front().is_some_and(|first| first + width <= at) {
        window.pop_front();
    }
    window.len()
}

impl World {
    /// Takes a turn now: when it is; or how long to wait before asking again. In microseconds.
    pub fn take_turn(&mut self, lane: Lane) -> Result<u64, u64> {
        let now_us = self.now * 1_000;
        let dealt = &mut self.meter.lanes[slot(lane)];
        let held_until_us = dealt.held_until_us;
        self.meter.turn_writes += 1 + u64::from(dealt.next_us <= now_us);
        let at_us = if self.scenario.mutation == Some(Mutation::NoPace) {
            now_us
        } else {
            let (next_us, at_us) = Rhythm::of(lane, self.scenario.rules.per_second).take(dealt.next_us, now_us)?;
            dealt.next_us = next_us;
            at_us
        };
        self.meter.turns += 1;
        let paced = self.scenario.mutation != Some(Mutation::NoPace);
        if paced && at_us < held_until_us {
            self.violated("I8", "a turn before the time that HCP Terraform had named".to_owned());
        }
        let most = self.scenario.rules.per_second as usize;
        if lane == Lane::RunLists {
            let lists = slide(&mut self.meter.list_turns_lately, at_us, MINUTE * 1_000);
            if lists > LISTS_PER_MINUTE {
                self.violated("I8", format!("{lists} turns to list runs in one minute"));
            }
        } else {
            let turns = slide(&mut self.meter.turns_lately, at_us, SECOND * 1_000);
            if turns > most {
                self.violated("I8", format!("{turns} turns in one second, where {most} are allowed"));
            }
        }
        Ok(at_us)
    }

    /// HCP Terraform asks for a pause: no turn lies before it is over.
    pub fn hold_turns(&mut self, lane: Lane, after_ms: u64) {
        let until_us = (self.now + after_ms.min(SLOW_LONGEST_MS)) * 1_000;
        self.meter.turn_writes += 1;
        if self.scenario.mutation == Some(Mutation::SlowDownIgnored) {
            let dealt = &mut self.meter.lanes[slot(lane)];
            dealt.held_until_us = dealt.held_until_us.max(until_us);
            return;
        }
        let next_us = until_us + Rhythm::of(lane, self.scenario.rules.per_second).tolerance_us();
        let dealt = &mut self.meter.lanes[slot(lane)];
        dealt.next_us = dealt.next_us.max(next_us);
        dealt.held_until_us = dealt.held_until_us.max(until_us);
    }

    /// A request is made, with the turn that was taken for it.
    pub fn take_request(&mut self, operation: &'static str, seat: &mut Seat) {
        let meter = &mut self.meter;
        meter.requests += 1;
        let second = slide(&mut meter.requests_lately, self.now, SECOND);
        meter.per_second_max = meter.per_second_max.max(second);
        let finds = operation == "find_run";
        let minute = if finds { slide(&mut meter.finds_lately, self.now, MINUTE) } else { 0 };
        meter.finds_per_minute_max = meter.finds_per_minute_max.max(minute);
        let listed = !finds || std::mem::take(&mut seat.list_turn);
        if !std::mem::take(&mut seat.turn) || !listed {
            self.violated("I8", format!("{operation} was asked without a turn"));
        }
        // A worker that stalls asks late, whatever its turn was.
        let prompt = self.scenario.faults.slow == 0;
        let most = self.scenario.rules.per_second as usize;
        if prompt && second > most {
            self.violated("I8", format!("{second} requests in one second, where {most} are allowed"));
        }
        if prompt && minute > LISTS_PER_MINUTE {
            self.violated("I8", format!("{minute} lists of runs in one minute"));
        }
    }
}
