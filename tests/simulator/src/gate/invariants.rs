//! What has to hold whenever something is done.

use secrecy::{ExposeSecret, SecretString};
use sluice_domain::gate::{Admission, CheckVerdict, Execution, Report, ReportStatus, SILENCE_MS, Sealed, State};
use sluice_domain::ports::Advance;
use sluice_domain::{CheckName, TaskResultId, WorkKey};

use crate::gate::scenario::{Act, Say};
use crate::gate::world::{Answer, Job, Seat, Spell, World, check_number, known_as, number};
use crate::scenario::SECOND;

/// Most attempts at a check that fails in ways that may pass.
const ATTEMPTS: u32 = 8;

/// Attempts after which a worker that dies is the last.
const DEATHS: u32 = 3;

impl World {
    /// A turn at a check begins. Tells how many there were before.
    pub(crate) fn begin(&mut self, seat: &Seat, (result, check): (usize, usize), token: &SecretString) -> usize {
        let (now, skew) = (self.now, self.scenario.faults.skew);
        let name = format!("c{check} of taskrs-{result}");
        self.trace("execute", (result * 100 + check) as u64);
        if self.results[result].token.expose_secret() != token.expose_secret() {
            self.violated("G6", format!("{name} is carried out with a token that is not its own"));
        }
        let needs: Vec<usize> = self.needs(result, check).collect();
        for need in needs {
            if self.course(result, need).ended.is_none() {
                self.violated("G3", format!("{name} begins before c{need} is over"));
            }
        }
        let before = |at: Option<u64>| at.is_some_and(|at| at < seat.started);
        let (decided, course) = (self.decided.get(&result).copied(), self.course(result, check).clone());
        if before(course.ended) {
            self.violated("G3", format!("{name} has ended and is carried out again"));
        }
        if before(course.taken_on) {
            self.violated("G3", format!("{name} was handed on and is carried out again"));
        }
        if before(decided) {
            self.violated("G3", format!("{name} is carried out after the answer was given"));
        }
        let lease = sluice_task_runner::LEASE_MS;
        // Whoever outlived its lease may also have put off what another holds by then.
        let put_off = self.scenario.faults.outlives && course.deaths > 0;
        let outlived = |spell: &Spell| spell.until.unwrap_or(now) + 2 * skew >= spell.started + lease;
        let stalled = put_off || now + 2 * skew >= seat.started + lease || course.spells.iter().any(outlived);
        if let Some(spell) = course.spells.iter().find(|spell| spell.until.is_none() && !stalled) {
            let since = (now - spell.started) / SECOND;
            self.violated("G3", format!("{name} is carried out twice at once: another worker began {since} s ago"));
        }
        self.course(result, check).spells.push(Spell { started: seat.started, until: None });
        course.spells.len()
    }

    /// The checks that one needs, at this stage.
    pub(crate) fn needs(&self, result: usize, check: usize) -> impl Iterator<Item = usize> {
        let checks = &self.scenario.tasks[self.scenario.asks[result].task].checks;
        checks[check].needs.iter().copied().filter(|need| !checks[*need].elsewhere)
    }

    /// Something was written down about a check.
    pub(crate) fn check_advance(&mut self, seat: &Seat, before: &Execution, step: &Advance<'_>) {
        let (result, check) = (number(step.result()), check_number(step.check()));
        self.check_text(&format!("{:?}", step.execution));
        if before.end.is_some() {
            let name = format!("c{check} of taskrs-{result}");
            self.violated("G2", format!("{name} is written over though it has ended"));
        }
        if step.tells {
            *self.news.entry(result).or_default() += 1;
        }
        let now = self.now;
        self.trace("advance", u64::from(step.execution.end.is_some()));
        let course = self.course(result, check);
        if step.execution.handed_on {
            course.taken_on.get_or_insert(now);
        }
        let heard = course.heard;
        if matches!(seat.job, Job::Answer(_)) {
            course.heard = course.heard.max(Some(seat.started));
        }
        let Some(end) = &step.execution.end else { return };
        course.ended.get_or_insert(now);
        self.note(|| format!("   c{check} of taskrs-{result} ended: {:?}, {}", end.verdict, end.message));
        if let Err(why) = self.is_earned(seat, step.check(), before, heard, end.verdict) {
            let text = format!("c{check} of taskrs-{result} ends as {:?} ({}), {why}", end.verdict, end.message);
            self.violated("G2", text);
        }
    }

    /// Whether a check may end so.
    fn is_earned(
        &self,
        seat: &Seat,
        check: &CheckName,
        before: &Execution,
        heard: Option<u64>,
        verdict: CheckVerdict,
    ) -> Result<(), String> {
        let said = |right: bool| if right { CheckVerdict::Passed } else { CheckVerdict::Failed };
        let only = |wanted| if verdict == wanted { Ok(()) } else { Err(format!("and it should be {wanted:?}")) };
        let result = match &seat.job {
            Job::Answer(answer) => {
                let say = self.say(*answer).filter(|say| !say.forged).ok_or("on the word of a stranger")?;
                return only(said(say.last.ok_or("though it goes on")?));
            }
            Job::Work(WorkKey::Check(result, _)) => number(result),
            _ => return Err("and nobody asked for that".to_owned()),
        };
        let attempts = seat.claimed.as_ref().map_or(0, |claimed| claimed.attempts);
        match &seat.given {
            Some(Act::Pass) => return only(CheckVerdict::Passed),
            Some(Act::Fail) => return only(CheckVerdict::Failed),
            Some(Act::Permanent) => return only(CheckVerdict::Errored),
            Some(Act::Transient) if attempts >= ATTEMPTS => return only(CheckVerdict::Errored),
            None if verdict == CheckVerdict::Errored => {}
            other => return Err(format!("though it came to {other:?} at attempt {attempts}")),
        }
        let (check, skew) = (check_number(check), self.scenario.faults.skew);
        let course = self.courses.get(&(result, check)).cloned().unwrap_or_default();
        let silent_from = heard.max(course.handed.as_ref().map(|(at, _)| *at)).filter(|_| before.handed_on);
        let silent = silent_from.is_some_and(|at| seat.clock + 2 * skew >= at + SILENCE_MS);
        let late = seat.clock >= self.deadline(result, check);
        // Of some attempts that came to nothing, the last ended in no way at all.
        // A lease may run out early by as much as clocks differ.
        let over = |spell: &Spell| {
            spell.until.is_none() && self.now + 3 * skew >= spell.started + sluice_task_runner::LEASE_MS
        };
        let died = attempts > DEATHS && (course.deaths > 0 || course.spells.iter().any(over));
        if late || silent || died {
            return Ok(());
        }
        Err(format!("too early, with {} deaths and {attempts} attempts", course.deaths))
    }

    /// What another checker says.
    pub(crate) fn say(&self, answer: Answer) -> Option<Say> {
        let says = |act: &Act| match act {
            Act::HandOn(says) => says.get(answer.say).copied(),
            _ => None,
        };
        self.spec(answer.result, answer.check).turns.iter().find_map(|turn| says(&turn.act))
    }

    /// The earliest time at which a check may be told to have taken too long.
    fn deadline(&self, result: usize, check: usize) -> u64 {
        let task = &self.scenario.tasks[self.scenario.asks[result].task];
        let admitted = self.admitted.get(&result).copied().unwrap_or_default();
        let in_all = admitted + u64::from(task.timeout) * SECOND;
        let spells = self.courses.get(&(result, check)).map(|course| course.spells.as_slice()).unwrap_or_default();
        let began = spells.first().map(|spell| spell.started - self.scenario.faults.skew);
        let from = if self.needs(result, check).next().is_none() { Some(admitted) } else { began };
        from.map_or(in_all, |from| in_all.min(from + u64::from(task.checks[check].timeout) * SECOND))
    }

    /// The last word on a task result is decided.
    pub(crate) fn check_verdict(&mut self, seat: &Seat, result: &TaskResultId, state: &State) {
        let (result, now) = (number(result), self.now);
        let (Some(seen), Some(said)) = (&seat.seen, &state.verdict) else { return };
        self.decided.entry(result).or_insert(now);
        self.trace("verdict", u64::from(said.status == ReportStatus::Passed));
        match self.judge(result, &seen.executions, seat.clock) {
            Ok(status) if status == said.status => {}
            Ok(status) => {
                let text = format!("taskrs-{result} {}: {}, though it has {status}", said.status, said.message);
                self.violated("G2", text);
            }
            Err(check) => {
                let text = format!("taskrs-{result} {} while c{check} goes on: {}", said.status, said.message);
                self.violated("G2", text);
            }
        }
    }

    /// The last word on a task result arrives.
    pub(crate) fn check_last_word(&mut self, result: usize, report: &Report) {
        let word = (report.status, report.message.clone());
        let id = known_as(result, &self.scenario.asks[result]);
        let recorded = self.table.gated(&id).and_then(|gated| gated.state.verdict);
        if recorded.is_none_or(|recorded| (recorded.status, recorded.message) != word) {
            self.violated("G2", format!("taskrs-{result} {} is said, and not written down", report.status));
        }
        let first = self.last_words.entry(result).or_insert_with(|| word.clone()).clone();
        if first != word {
            let text = format!("taskrs-{result} was {} ({}), and is {} ({})", first.0, first.1, word.0, word.1);
            self.violated("G2", text);
        }
    }

    /// Any word on a task result arrives.
    pub(crate) fn check_word(&mut self, result: usize, report: &Report) {
        self.check_text(&format!("{report:?}"));
        if self.scenario.asks[result].old && !report.outcomes.is_empty() {
            self.violated("G1", format!("taskrs-{result} is sent outcomes, which its sender does not take"));
        }
    }

    /// A task result is recorded.
    pub(crate) fn check_admission(&mut self, admission: &Admission, token: &Sealed) {
        self.check_text(&format!("{admission:?}"));
        self.check_text(&admission.request.original.0);
        self.check_text(&token.0);
    }

    /// Something is written down or said.
    pub(crate) fn check_text(&mut self, text: &str) {
        if text.contains("SECRET") {
            self.violated("G6", "an access token is where it does not belong".to_owned());
        }
    }

    /// A runner has come to its end, and says that all is well.
    pub(crate) fn check_taken_in(&mut self, seat: &Seat) {
        let found = matches!(seat.given, Some(Act::Pass | Act::Fail | Act::Permanent | Act::Again(_) | Act::HandOn(_)));
        // Whoever outlived its lease has nothing to write any more.
        let in_time = self.now < seat.started + sluice_task_runner::LEASE_MS;
        let Some(claimed) = seat.claimed.as_ref().filter(|_| found && in_time) else { return };
        if self.table.standing(&claimed.key) == Some((claimed.seq, claimed.attempts.into())) {
            self.violated("G3", format!("what {} came to is dropped, and it is to be carried out again", claimed.key));
        }
    }
}
