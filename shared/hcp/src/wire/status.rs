//! Run statuses and triggers as standings.

use sluice_domain::Standing;

/// Where a run of this status stands; None for a status that is not known, or of a health assessment.
///
/// `planned`, `cost_estimated` and `policy_checked` are passed through where a run applies by itself, and waited in
/// where it does not: the status alone does not tell. Read them as [`Standing::AwaitingPerson`] where the run
/// `is-confirmable`, or where a trigger says so.
#[must_use]
pub fn standing_of_status(status: &str) -> Option<Standing> {
    Some(match status {
        // Nothing of these has read an input yet, not even where a person is waited for: whoever waits for a run to
        // read new inputs can still count on this one.
        "pending"
        | "fetching"
        | "fetching_completed"
        | "pre_plan_running"
        | "pre_plan_completed"
        | "pre_plan_awaiting_decision"
        | "queuing"
        | "plan_queued" => Standing::Pending,
        "planning"
        | "planned"
        | "tf_policy_checked"
        | "post_plan_running"
        | "post_plan_completed"
        | "cost_estimating"
        | "cost_estimated"
        | "policy_checking"
        | "policy_checked" => Standing::Planning,
        "tf_policy_override"
        | "post_plan_awaiting_decision"
        | "policy_override"
        | "policy_soft_failed"
        | "planned_and_saved"
        | "pre_apply_awaiting_decision" => Standing::AwaitingPerson,
        "confirmed"
        | "pre_apply_running"
        | "pre_apply_completed"
        | "queuing_apply"
        | "apply_queued"
        | "applying"
        | "post_apply_running"
        | "post_apply_completed" => Standing::Applying,
        "applied" => Standing::Applied,
        "planned_and_finished" => Standing::NoChanges,
        "errored" => Standing::Errored,
        "canceled" | "force_canceled" => Standing::Canceled,
        "discarded" => Standing::Discarded,
        _ => return None,
    })
}

/// Where a run of this trigger stands, without its `run:`; None where the trigger alone does not tell.
///
/// `completed` does not: it is sent for runs with and without changes, and perhaps for others.
pub(super) fn standing_of_trigger(trigger: &str) -> Option<Standing> {
    Some(match trigger {
        "created" => Standing::Pending,
        "planning" | "cost_estimated" | "policies_checked" => Standing::Planning,
        "needs_attention" | "pending_apply_approval" | "policy_override_required" | "policy_soft_failed" => {
            Standing::AwaitingPerson
        }
        "applying" => Standing::Applying,
        "errored" | "run_errored" => Standing::Errored,
        "run_canceled" => Standing::Canceled,
        _ => return None,
    })
}
