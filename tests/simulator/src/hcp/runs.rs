//! The life of a run: pending, planning, perhaps waiting for a person, applying, over.

use sluice_domain::{Marker, Standing, Timestamp};

use super::{Hcp, Notice, Timer, Way};
use crate::scenario::{Approval, SECOND};

impl Hcp {
    /// A run that is there and has begun nothing.
    pub(super) fn new_run(&mut self, number: usize, message: &str, created_at: u64, way: Way) -> usize {
        let site = &self.sites[number];
        let program = site.program;
        let offered = self.look_at(site.spec.reads.iter().copied()).into_iter();
        let offered = offered.map(|(read, seen)| (read, seen.values)).collect();
        self.runs.push(super::Run {
            workspace: number,
            generation: site.generation,
            message: message.to_owned(),
            marker: Marker::in_message(message),
            created_at,
            standing: Standing::Pending,
            since: created_at,
            own: site.own,
            program,
            way,
            saw: std::collections::BTreeMap::new(),
            offered,
            fails: None,
            began: None,
            ended: None,
        });
        let run = self.runs.len() - 1;
        self.sites[number].runs.push(run);
        run
    }

    /// Queues a run.
    pub fn start(&mut self, number: usize, message: &str, way: Way) -> usize {
        let run = self.new_run(number, message, self.clock(), way);
        self.stirs += 1;
        if way == Way::PlanOnly {
            // It stands in nobody's way, and nothing is told of it.
            self.timers.push((self.now + SECOND, Timer::BeginAlone(run)));
            return run;
        }
        self.tell(run, "run:created", "pending");
        self.timers.push((self.now + SECOND, Timer::Begin(number)));
        run
    }

    /// Whether the run belongs to a workspace that is still there.
    #[must_use]
    pub fn is_there(&self, run: usize) -> bool {
        let run = &self.runs[run];
        let site = &self.sites[run.workspace];
        site.alive && site.generation == run.generation
    }

    /// Something happens by itself.
    pub fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Begin(number) => self.begin(number),
            Timer::BeginAlone(run) if self.stands(run, Standing::Pending) => self.begin_alone(run),
            Timer::Planned(run) if self.stands(run, Standing::Planning) => self.planned(run),
            Timer::Judged(run) if self.stands(run, Standing::Planning) => self.judged(run),
            Timer::Confirm(run) if self.stands(run, Standing::AwaitingPerson) => self.apply(run),
            Timer::Discard(run) if self.stands(run, Standing::AwaitingPerson) => self.end(run, Standing::Discarded),
            Timer::Applied(run) if self.stands(run, Standing::Applying) => self.applied(run),
            Timer::Written(run) if self.is_there(run) => self.written(run),
            _ => {}
        }
    }

    fn stands(&self, run: usize, standing: Standing) -> bool {
        self.is_there(run) && self.runs[run].standing == standing
    }

    /// Runs of the workspace that are not over, the oldest first, without those that only plan.
    pub fn live_runs(&self, number: usize) -> impl Iterator<Item = usize> {
        let lives = |run: &super::Run| !run.standing.ended() && run.way != Way::PlanOnly;
        let there = move |run: &usize| self.is_there(*run) && lives(&self.runs[*run]);
        self.sites[number].runs.iter().copied().filter(there)
    }

    /// Whether the run moves by itself.
    #[must_use]
    pub fn moves(&self, run: usize) -> bool {
        let site = &self.sites[self.runs[run].workspace];
        match self.runs[run].standing {
            Standing::Planning | Standing::Applying => true,
            Standing::Pending => !site.locked && self.live_runs(self.runs[run].workspace).next() == Some(run),
            _ => false,
        }
    }

    fn begin(&mut self, number: usize) {
        let site = &self.sites[number];
        if !site.alive || site.locked || site.writing {
            return;
        }
        let Some(run) = self.live_runs(number).next().filter(|run| self.runs[*run].standing == Standing::Pending)
        else {
            return;
        };
        let program = self.runs[run].program;
        let saw = self.look_at_inputs(number, program);
        let unreadable = self.sites[number].spec.reads_in(program).any(|read| !saw.contains_key(&read));
        let fails = if self.sites[number].breaks > 0 {
            self.sites[number].breaks -= 1;
            Some(if run % 2 == 0 { Standing::Planning } else { Standing::Applying })
        } else {
            (unreadable && self.runs[run].way != Way::Destroys).then_some(Standing::Planning)
        };
        let now = self.now;
        let made = &mut self.runs[run];
        (made.saw, made.fails, made.began) = (saw, fails, Some(now));
        self.stand(run, Standing::Planning);
        self.tell(run, "run:planning", "planning");
        self.timers.push((self.now + self.sites[number].spec.plan_ms, Timer::Planned(run)));
    }

    fn begin_alone(&mut self, run: usize) {
        let number = self.runs[run].workspace;
        self.runs[run].saw = self.look_at_inputs(number, self.runs[run].program);
        self.stand(run, Standing::Planning);
        self.timers.push((self.now + self.sites[number].spec.plan_ms, Timer::Planned(run)));
    }

    fn planned(&mut self, run: usize) {
        let Run { number, way, fails, .. } = self.brief(run);
        let gated = self.sites[number].spec.habits.gated;
        if way == Way::PlanOnly {
            self.shown.extend(gated.then_some(run));
            self.stand(run, Standing::NoChanges);
            self.runs[run].ended = Some(self.now);
            return;
        }
        if fails == Some(Standing::Planning) {
            return self.end(run, Standing::Errored);
        }
        if gated {
            self.shown.push(run);
            return self.timers.push((self.now + 2 * SECOND, Timer::Judged(run)));
        }
        self.judged(run);
    }

    /// Nothing but the plan itself, or a person, is in the way of the run any more.
    fn judged(&mut self, run: usize) {
        let Run { number, own, way, .. } = self.brief(run);
        let (outputs, content) = self.evaluate(number, own, &self.runs[run].saw);
        let site = &self.sites[number];
        let changes = match (way, site.state()) {
            (Way::Partly, state) => state.is_some_and(|state| !state.empty),
            (_, state) => state.is_none_or(|state| state.outputs != outputs || state.content != content || state.empty),
        };
        if way == Way::Destroys || way == Way::Partly && changes {
            return self.apply(run);
        }
        if !changes {
            return self.end(run, Standing::NoChanges);
        }
        let approval = site.spec.approval;
        if approval == Approval::Auto {
            return self.apply(run);
        }
        self.stand(run, Standing::AwaitingPerson);
        self.tell(run, "run:needs_attention", "planned");
        match approval {
            Approval::Confirmed(after) => self.timers.push((self.now + after, Timer::Confirm(run))),
            Approval::Discarded(after) => self.timers.push((self.now + after, Timer::Discard(run))),
            Approval::Auto | Approval::Forgotten => {}
        }
    }

    /// The plan is applied.
    pub(super) fn apply(&mut self, run: usize) {
        self.stand(run, Standing::Applying);
        self.tell(run, "run:applying", "applying");
        let site = &self.sites[self.runs[run].workspace];
        self.timers.push((self.now + site.spec.apply_ms, Timer::Applied(run)));
    }

    fn applied(&mut self, run: usize) {
        let Run { number, fails, .. } = self.brief(run);
        if fails == Some(Standing::Applying) {
            return self.end(run, Standing::Errored);
        }
        let lag = self.lags.pop().unwrap_or(0);
        self.sites[number].writing = true;
        if lag == 0 {
            self.written(run);
            return self.end(run, Standing::Applied);
        }
        self.timers.push((self.now + lag, Timer::Written(run)));
        self.end(run, Standing::Applied);
    }

    fn written(&mut self, run: usize) {
        let Run { number, own, way, .. } = self.brief(run);
        let saw = self.runs[run].saw.clone();
        let as_it_was = || self.sites[number].state().map(|state| (state.outputs.clone(), state.content));
        let (outputs, content) = match way {
            Way::Destroys => (Vec::new(), 0),
            Way::Partly => as_it_was().unwrap_or_default(),
            Way::Whole | Way::PlanOnly => self.evaluate(number, own, &saw),
        };
        self.push_state(number, Some(run), self.clock(), outputs, &saw, content, way);
        self.sites[number].writing = false;
        self.stirs += 1;
        self.timers.push((self.now + SECOND, Timer::Begin(number)));
    }

    /// The run is over.
    pub(super) fn end(&mut self, run: usize, standing: Standing) {
        self.stand(run, standing);
        self.runs[run].ended = Some(self.now);
        let number = self.runs[run].workspace;
        self.sites[number].last = Some(run);
        if standing.got_through() && self.runs[run].way != Way::Partly {
            self.sites[number].through = Some(run);
        }
        match standing {
            Standing::Applied => self.tell(run, "run:completed", "applied"),
            Standing::NoChanges => self.tell(run, "run:completed", "planned_and_finished"),
            Standing::Errored => self.tell(run, "run:errored", "errored"),
            Standing::Canceled => self.tell(run, "run:errored", "canceled"),
            // Of a discarded run nothing is sent.
            _ => {}
        }
        self.timers.push((self.now + SECOND, Timer::Begin(number)));
    }

    fn stand(&mut self, run: usize, standing: Standing) {
        let clock = self.clock();
        (self.runs[run].standing, self.runs[run].since) = (standing, clock);
        self.stirs += 1;
    }

    fn brief(&self, run: usize) -> Run {
        let run = &self.runs[run];
        Run { number: run.workspace, own: (run.own, run.program), way: run.way, fails: run.fails }
    }

    /// Sends news of the run, with times in whole seconds.
    fn tell(&mut self, run: usize, trigger: &'static str, status: &'static str) {
        let made = &self.runs[run];
        let site = &self.sites[made.workspace];
        let whole = |ms: u64| Timestamp(ms / 1_000 * 1_000);
        let body = format!(
            "{{\"payload_version\":1,\"run_id\":\"run-{run}\",\"run_message\":\"{}\",\"run_created_at\":\"{}\",\
             \"workspace_id\":\"{}\",\"workspace_name\":\"{}\",\"organization_name\":\"acme\",\"notifications\":\
             [{{\"trigger\":\"{trigger}\",\"run_status\":\"{status}\",\"run_updated_at\":\"{}\"}}]}}",
            made.message,
            whole(made.created_at),
            site.id,
            site.name.name,
            whole(made.since)
        );
        self.outbox.push(Notice { run, trigger, status, body, ends: made.standing.ended() });
    }
}

struct Run {
    number: usize,
    own: (u64, u64),
    way: Way,
    fails: Option<Standing>,
}
