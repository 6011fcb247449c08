//! What a task result has to come to, worked out anew; and what has to be true at rest.

use std::collections::BTreeMap;

use sluice_domain::CheckName;
use sluice_domain::gate::{CheckVerdict, Execution, HEARTBEAT_MS, ReportStatus};

use crate::gate::hcp::{End, TaskResult};
use crate::gate::scenario::{Act, CheckSpec, Say, Standing, TaskSpec};
use crate::gate::world::{World, known_as};
use crate::scenario::{MINUTE, SECOND};

/// Longest time between two words, in milliseconds.
const WORD_MS: u64 = 4 * MINUTE;

impl World {
    fn task(&self, result: usize) -> &TaskSpec {
        &self.scenario.tasks[self.scenario.asks[result].task]
    }

    /// What a task result comes to, given how its checks ended; the number of one that still has time, if there is one.
    pub(crate) fn judge(
        &self,
        result: usize,
        executions: &BTreeMap<CheckName, Execution>,
        clock: u64,
    ) -> Result<ReportStatus, usize> {
        let task = self.task(result);
        match task.standing {
            Standing::Disabled => return Ok(ReportStatus::Passed),
            Standing::Invalid => return Ok(ReportStatus::Failed),
            Standing::Good => {}
        }
        let admitted = self.admitted.get(&result).copied().unwrap_or_default();
        let in_time = clock < admitted + u64::from(task.timeout) * SECOND;
        let mut status = ReportStatus::Passed;
        for (number, check) in task.checks.iter().enumerate().filter(|(_, check)| !check.elsewhere) {
            let name: CheckName = format!("c{number}").parse().expect("it is a name");
            let end = executions.get(&name).and_then(|execution| execution.end.as_ref()).map(|end| end.verdict);
            let fails = match end {
                None if in_time => return Err(number),
                Some(CheckVerdict::Passed) => false,
                Some(CheckVerdict::Failed) => true,
                None | Some(CheckVerdict::Errored) => !check.lenient,
            };
            if fails && !check.advisory {
                status = ReportStatus::Failed;
            }
        }
        Ok(status)
    }

    /// What has to be true when nothing moves any more.
    pub(crate) fn check_at_rest(&mut self) {
        let now = self.now;
        for result in 0..self.results.len() {
            self.results[result].lapse(now);
            if let Err((invariant, text)) = self.at_rest(result, &self.results[result]) {
                self.violated(invariant, format!("taskrs-{result} {text}"));
            }
        }
        if let Some(dead) = self.table.dead().first() {
            self.violated("G5", format!("{} is a dead letter: {}", dead.key, dead.fault));
        }
        let left = self.table.with_token().next().cloned();
        if let Some(result) = left {
            self.violated("G5", format!("the access token of {result} is still there"));
        }
        if let Some(due) = self.table.next_due() {
            self.violated("G5", format!("something is due at {due}"));
        }
    }

    fn at_rest(&self, result: usize, task: &TaskResult) -> Result<(), (&'static str, String)> {
        let taken =
            |status: ReportStatus| task.words.iter().filter(move |word| word.answer == 200 && word.status == status);
        let finals = taken(ReportStatus::Passed).count() + taken(ReportStatus::Failed).count();
        let Some(answered) = task.answered else {
            // It may have been recorded though nobody heard that.
            return if finals <= 1 { Ok(()) } else { Err(("G1", format!("has {finals} last words"))) };
        };
        match task.end {
            // A token that is good for nothing lets nobody answer.
            None if task.is_open(self.now) => return Err(("G1", "was never answered".to_owned())),
            Some((end @ (End::Silent | End::TooLong), at)) if task.is_open(at) => {
                return Err((
                    "G1",
                    format!("was given up: {end:?}, {} minutes after it was asked", (at - answered) / MINUTE),
                ));
            }
            Some((End::Said(_), _)) if finals != 1 => return Err(("G1", format!("has {finals} last words"))),
            None | Some(_) => {}
        }
        let untouched = self.scenario.asks[result].fate.is_none() && self.scenario.asks[result].token_life.is_none();
        if self.scenario.is_calm() && untouched { self.in_calm(result, task, answered) } else { Ok(()) }
    }

    /// What holds where nothing goes wrong but what checks themselves do.
    fn in_calm(&self, result: usize, task: &TaskResult, answered: u64) -> Result<(), (&'static str, String)> {
        let words: Vec<u64> = task.words.iter().filter(move |word| word.answer == 200).map(|word| word.at).collect();
        let mut before = answered;
        for at in &words {
            if at - before > WORD_MS {
                return Err(("G4", format!("heard nothing for {} s", (at - before) / SECOND)));
            }
            before = *at;
        }
        let last = *words.last().unwrap_or(&answered);
        let news = self.news.get(&result).copied().unwrap_or_default();
        let needed = 1 + news + (last - answered) / HEARTBEAT_MS;
        if words.len() as u64 > needed + 5 {
            return Err(("G4", format!("was told of {} times, and {needed} would have done", words.len())));
        }
        let spec = self.task(result);
        let asked = |(_, check): &(usize, &CheckSpec)| !check.elsewhere && spec.standing == Standing::Good;
        let mut over = answered;
        let limit = self.admitted.get(&result).copied().unwrap_or_default() + u64::from(spec.timeout) * SECOND;
        for (number, _) in spec.checks.iter().enumerate().filter(asked) {
            let ended = self.courses.get(&(result, number)).and_then(|course| course.ended);
            over = over.max(ended.unwrap_or(limit + MINUTE));
        }
        if last > over + 15 * SECOND {
            return Err(("G4", format!("was answered {} s after its checks were over", (last - over) / SECOND)));
        }
        self.as_foreseen(result, spec)
    }

    /// Whether each check ended as its script has it, where that leaves no doubt.
    fn as_foreseen(&self, result: usize, spec: &TaskSpec) -> Result<(), (&'static str, String)> {
        let id = known_as(result, &self.scenario.asks[result]);
        let Some(gated) = self.table.gated(&id).filter(|_| spec.standing == Standing::Good) else { return Ok(()) };
        for (number, check) in spec.checks.iter().enumerate().filter(|(_, check)| !check.elsewhere) {
            let name: CheckName = format!("c{number}").parse().expect("it is a name");
            let Some((_, foreseen)) = foreseen(spec, number) else { continue };
            let end = gated.execution(&name).end.map(|end| end.verdict);
            if end != Some(foreseen) {
                return Err(("G2", format!("has {name} end as {end:?}, and not as {foreseen:?}: {:?}", check.turns)));
            }
        }
        Ok(())
    }
}

/// By when a check has ended, and how, where nothing else goes wrong and its time is ample.
fn foreseen(task: &TaskSpec, number: usize) -> Option<(u64, CheckVerdict)> {
    let check = &task.checks[number];
    let mut begins = 0;
    for need in check.needs.iter().filter(|need| !task.checks[**need].elsewhere) {
        begins = begins.max(foreseen(task, *need)?.0);
    }
    let (takes, verdict) = course(check)?;
    let ample = |seconds: u32, ms: u64| ms + MINUTE < u64::from(seconds) * SECOND;
    (ample(check.timeout, takes) && ample(task.timeout, begins + takes)).then_some((begins + takes, verdict))
}

/// How long the turns of a check take at most, and what they come to.
fn course(check: &CheckSpec) -> Option<(u64, CheckVerdict)> {
    const SWEEP: u64 = MINUTE + 2 * SECOND;
    let (mut takes, mut attempts) = (0, 0_u32);
    for number in 0..24 {
        let turn = &check.turns[number.min(check.turns.len() - 1)];
        takes += turn.takes + 2 * SECOND;
        attempts += 1;
        takes += match &turn.act {
            Act::Pass => return Some((takes, CheckVerdict::Passed)),
            Act::Fail => return Some((takes, CheckVerdict::Failed)),
            Act::Permanent => return Some((takes, CheckVerdict::Errored)),
            Act::Transient if attempts == 8 => return Some((takes, CheckVerdict::Errored)),
            Act::Transient => SWEEP + (SECOND << attempts),
            Act::Throttled(after) | Act::Again(after) => {
                attempts = 0;
                after + 2 * SECOND + SWEEP
            }
            // What follows on many attempts that came to nothing is left open.
            Act::Panic if attempts > 2 || number == check.turns.len() - 1 => return None,
            Act::Panic => sluice_task_runner::LEASE_MS + SWEEP,
            Act::HandOn(says) => {
                let (after, verdict) = said(says)?;
                return Some((takes + after + 10 * SECOND, verdict));
            }
        };
    }
    None
}

/// What another checker comes to, if that is clear.
fn said(says: &[Say]) -> Option<(u64, CheckVerdict)> {
    let mut says: Vec<&Say> = says.iter().filter(|say| !say.forged).collect();
    says.sort_by_key(|say| say.after);
    let mut heard = 0;
    for (number, say) in says.iter().enumerate() {
        if say.after > heard + 9 * MINUTE {
            return None;
        }
        heard = say.after;
        let Some(last) = say.last else { continue };
        let contested = says[number + 1..]
            .iter()
            .any(|other| other.after < say.after + 30 * SECOND && other.last.is_some_and(|other| other != last));
        let verdict = if last { CheckVerdict::Passed } else { CheckVerdict::Failed };
        return (!contested).then_some((say.after, verdict));
    }
    None
}
