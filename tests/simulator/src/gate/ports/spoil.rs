//! What mutations make of what is read and written.

use sluice_domain::gate::{Admission, Enforcement, Gated, OnError, State};
use sluice_domain::{Timestamp, WorkKey};

use crate::gate::Mutation;
use crate::gate::world::{Job, Seat, World};
use crate::scenario::MINUTE;

impl World {
    /// What a worker reads of a task result, as the mutation, if any, has it.
    pub(crate) fn spoilt(&self, seat: &Seat, mut gated: Gated) -> Gated {
        if let Some(state) = &seat.unwritten {
            gated.state = state.clone();
        }
        let Some(mutation) = self.scenario.mutation else { return gated };
        let (runner, relay) = match &seat.job {
            Job::Work(WorkKey::Check(_, check)) => (Some(check), false),
            Job::Work(_) => (None, true),
            _ => (None, false),
        };
        match mutation {
            Mutation::NeedsIgnored if runner.is_some() => {
                gated.admission.checks.iter_mut().for_each(|check| check.needs.clear());
            }
            Mutation::DeadlineIgnored => {
                gated.admission.deadline = gated.admission.deadline.plus_ms(600 * MINUTE);
                gated.admission.checks.iter_mut().for_each(|check| check.timeout_seconds += 36_000);
            }
            Mutation::LateAnswerTaken if matches!(seat.job, Job::Answer(_)) => {
                gated.state = State::default();
                gated.executions.values_mut().for_each(|execution| execution.end = None);
            }
            Mutation::EndedAgain => {
                if let Some(check) = runner {
                    gated.executions.entry(check.clone()).and_modify(|execution| execution.end = None);
                }
            }
            Mutation::HandedOnAgain => {
                if let Some(check) = runner {
                    gated.executions.entry(check.clone()).and_modify(|execution| execution.handed_on = false);
                }
            }
            Mutation::EnforcementIgnored if relay => {
                gated.admission.checks.iter_mut().for_each(|check| check.enforcement = Enforcement::Mandatory);
            }
            Mutation::OnErrorIgnored if relay => {
                gated.admission.checks.iter_mut().for_each(|check| check.on_error = OnError::Fail);
            }
            Mutation::ChattyRelay if relay => {
                gated.state.said_at = gated.state.said_at.map(|at| Timestamp(at.0 - 5 * MINUTE).max(Timestamp(0)));
                if gated.state.said_at.is_some_and(|at| at.0 + 5 * MINUTE >= seat.clock) {
                    gated.state.said_at = Some(Timestamp(seat.clock));
                }
            }
            _ => {}
        }
        gated
    }

    /// What becomes of a task result that was just recorded.
    pub(crate) fn spoil_admission(&mut self, admission: &Admission) {
        let (request, Some(last)) = (&admission.request, admission.checks.last()) else { return };
        if self.breaks(Mutation::TornAdmit) && admission.checks.len() > 1 {
            let key = WorkKey::Check(request.result.clone(), last.name.clone());
            if let Some(claimed) = self.table.claim(&key, request.received_at, 0) {
                self.table.complete(&claimed);
            }
        }
    }
}
