//! What a change came to, counted once: by the first look after it was taken in.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::ports::Known;
use sluice_domain::{Decision, Graph, StateFacts, Timestamp, Verdict, Wave, Workspace};
use sluice_lambda::metrics;
use tracing::info;

/// How long after a state version was taken in a look is the one that this was asked for, in milliseconds. Others come
/// when a wait is over or something was put off: they find what was counted before.
const FIRST_LOOK_MS: u64 = 120_000;

/// A look at whoever reads `root`.
pub(crate) struct Looked<'a> {
    pub root: &'a Workspace,
    pub targets: &'a BTreeSet<Workspace>,
    pub graph: &'a Graph,
    pub decisions: &'a [Decision],
    /// What was decided and ordered before.
    pub known: &'a BTreeMap<Workspace, Known>,
    pub now: Timestamp,
}

/// Whether a change begins a wave, and how many runs of readers were saved because no output that they use is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub waves: u32,
    pub saved: u32,
}

impl Looked<'_> {
    /// Counts, unless another look has done so.
    pub(crate) fn count(&self) {
        let Some(Counts { waves, saved }) = self.counts() else { return };
        if waves + saved > 0 {
            info!(target: metrics::TARGET, Waves = waves, RunsSaved = saved);
        }
    }

    fn counts(&self) -> Option<Counts> {
        let state = self.change()?;
        let begins = state.wave.is_none();
        let (mut moves, mut saved) = (0, 0);
        for reader in self.targets.iter().filter(|target| *target != self.root) {
            let Some(number) = self.graph.number(reader) else { continue };
            let edge = self.graph.facts(number).producers.get(self.root);
            if edge.is_none_or(|edge| !edge.live()) {
                continue;
            }
            let decision = &self.decisions[number];
            if !decision.is_because_of(self.root) {
                saved += 1;
            } else if is_moved(decision) {
                if !self.is_new(reader, decision, state) {
                    return None;
                }
                moves += 1;
            }
        }
        Some(Counts { waves: u32::from(begins && moves > 0), saved })
    }

    /// The state version that was just taken in, if there is one that a run or a person made.
    fn change(&self) -> Option<&StateFacts> {
        let facts = self.graph.facts(self.graph.number(self.root)?);
        let state = facts.state.as_ref().filter(|state| !state.baseline && !state.destroyed)?;
        let last = state.run.is_none() || state.run.as_ref() == facts.ended.last();
        (last && self.now.since_ms(state.taken_in_at) < FIRST_LOOK_MS).then_some(state)
    }

    /// Whether nothing was decided or ordered for the same reason before.
    fn is_new(&self, reader: &Workspace, decision: &Decision, state: &StateFacts) -> bool {
        let Some(before) = self.known.get(reader) else { return true };
        let decided =
            before.decision.as_ref().is_some_and(|it| it.is_because_of(self.root) && it.inputs == decision.inputs);
        let wave = state.wave_below(self.root);
        let same = |it: &Wave| it.origin == wave.origin && it.depth >= wave.depth;
        let ordered = before.order.as_ref().and_then(|order| order.wave.as_ref()).is_some_and(same);
        !decided && !ordered
    }
}

/// Whether something follows from the decision, now or when a wait is over.
fn is_moved(decision: &Decision) -> bool {
    matches!(
        decision.verdict,
        Verdict::Run
            | Verdict::Plan
            | Verdict::Wait { .. }
            | Verdict::Settling { .. }
            | Verdict::Adopt { .. }
            | Verdict::AwaitOwnRun { .. }
    )
}
