//! One budget of API requests for everything that runs at the same time.
//!
//! HCP Terraform allows a user thirty requests a second (contract section 3.1), however many functions share its
//! token. Each request takes a turn first. Turns are dealt out in lanes, so that one kind of work cannot use up what
//! another needs. Callbacks of run tasks need none: each task result comes with an access token of its own.

use std::future::Future;
use std::sync::Arc;

use crate::errors::TerraformError;
use crate::facts::Findings;
use crate::names::{Organization, Workspace, WorkspaceId};
use crate::ports::{CreatedRun, ListPage, Runs, StateVersion, States, WorkspaceFound};
use crate::run::RunReport;
use crate::work::{Marker, RunKind, SurveyScope};

/// For what a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What a change sets off.
    Work,
    /// What can wait: it takes turns of [`Lane::Work`] only while next to nobody is waiting for one.
    Bulk,
    /// Lists of runs, of which HCP Terraform allows thirty a minute. They take a turn of [`Lane::Work`] besides.
    RunLists,
}

/// How turns follow each other in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between turns, in microseconds.
    pub spacing_us: u64,
    /// How many turns may be taken at once after a silence.
    pub burst: u64,
    /// How far ahead a turn may lie, in microseconds. Whoever would get a later one gets none.
    pub horizon_us: u64,
}

impl Rhythm {
    /// The rhythm of `lane` where the instance allows `per_second` requests in all.
    #[must_use]
    pub fn of(lane: Lane, per_second: u32) -> Self {
        let per_second = u64::from(per_second.max(6));
        // A sixth is left over: whoever stalls between a turn and the request does not come on top of all others.
        let turns = per_second - per_second / 6;
        // A burst and a second's turns may fall into the same second: together they stay within the limit.
        let spread = |horizon_us| {
            let burst = (turns / 5).max(1);
            Self { spacing_us: 1_000_000_u64.div_ceil(turns - burst), burst, horizon_us }
        };
        match lane {
            Lane::Work => spread(15_000_000),
            Lane::Bulk => spread(250_000),
            Lane::RunLists => Self { spacing_us: 2_400_000, burst: 5, horizon_us: 20_000_000 },
        }
    }

    /// Takes a turn at `now_us` where the time of the next regular turn is `next_us`: the new time of that, and when
    /// the turn is. Or, if it is too far off, how long to wait before asking again, in microseconds.
    pub fn take(&self, next_us: u64, now_us: u64) -> Result<(u64, u64), u64> {
        let next_us = next_us.max(now_us);
        let at_us = next_us.saturating_sub(self.tolerance_us()).max(now_us);
        if at_us > now_us + self.horizon_us {
            return Err(at_us - now_us - self.horizon_us);
        }
        Ok((next_us + self.spacing_us, at_us))
    }

    /// How far the next regular turn may lie ahead of one that is taken at once, in microseconds.
    #[must_use]
    pub fn tolerance_us(&self) -> u64 {
        self.spacing_us * (self.burst - 1)
    }
}

/// Deals out turns.
pub trait Pace: Sync {
    /// Takes a turn in `lane` and waits for it. An error if it would lie too far ahead.
    fn turn(&self, lane: Lane) -> impl Future<Output = Result<(), TerraformError>> + Send;

    /// HCP Terraform has asked for a pause of `after_ms` milliseconds: nobody gets a turn before that is over.
    fn slow_down(&self, after_ms: u64) -> impl Future<Output = ()> + Send;
}

/// HCP Terraform, asked in turn.
#[derive(Debug)]
pub struct Paced<T, P> {
    pub(crate) inner: Arc<T>,
    pace: Arc<P>,
    lane: Lane,
}

impl<T: Send + Sync, P: Pace + Send> Paced<T, P> {
    /// `inner`, asked in the turns that `pace` deals out in `lane`.
    pub fn new(inner: Arc<T>, pace: Arc<P>, lane: Lane) -> Self {
        Self { inner, pace, lane }
    }

    /// The same, asked in the turns of another lane.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { inner: self.inner.clone(), pace: self.pace.clone(), lane }
    }

    pub(crate) async fn ask<R: Send>(
        &self,
        asked: impl Future<Output = Result<R, TerraformError>> + Send,
    ) -> Result<R, TerraformError> {
        self.pace.turn(self.lane).await?;
        let answer = asked.await;
        if let Err(TerraformError::RateLimited { after_ms, .. }) = &answer {
            self.pace.slow_down(*after_ms).await;
        }
        answer
    }
}

impl<T: States + Send, P: Pace + Send> States for Paced<T, P> {
    async fn current_state(&self, workspace: &WorkspaceId) -> Result<Option<StateVersion>, TerraformError> {
        self.ask(self.inner.current_state(workspace)).await
    }

    async fn read_state(&self, workspace: &Workspace, version: &StateVersion) -> Result<Findings, TerraformError> {
        self.ask(self.inner.read_state(workspace, version)).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.ask(self.inner.workspace(id)).await
    }

    async fn workspaces(
        &self,
        organization: &Organization,
        scope: SurveyScope,
        page: u32,
    ) -> Result<Option<ListPage>, TerraformError> {
        self.ask(self.inner.workspaces(organization, scope, page)).await
    }

    async fn is_whole(&self, report: &RunReport) -> Result<bool, TerraformError> {
        self.ask(self.inner.is_whole(report)).await
    }

    async fn run(&self, report: &RunReport) -> Result<Option<RunReport>, TerraformError> {
        self.ask(self.inner.run(report)).await
    }
}

impl<T: Runs + Send, P: Pace + Send> Runs for Paced<T, P> {
    async fn create_run(
        &self,
        workspace: &WorkspaceId,
        message: &str,
        kind: RunKind,
    ) -> Result<CreatedRun, TerraformError> {
        self.ask(self.inner.create_run(workspace, message, kind)).await
    }

    async fn find_run(
        &self,
        workspace: &WorkspaceId,
        marker: &Marker,
        kind: RunKind,
    ) -> Result<Option<CreatedRun>, TerraformError> {
        self.pace.turn(Lane::RunLists).await?;
        self.ask(self.inner.find_run(workspace, marker, kind)).await
    }

    async fn workspace_named(&self, workspace: &Workspace) -> Result<Option<WorkspaceFound>, TerraformError> {
        self.ask(self.inner.workspace_named(workspace)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `asked` turns is, in microseconds, all asked for at the same time.
    fn turns(rhythm: Rhythm, asked: usize) -> Vec<u64> {
        let mut next = 0;
        let take = |_| {
            let (after, at) = rhythm.take(next, 1_000_000_000).ok()?;
            next = after;
            Some(at - 1_000_000_000)
        };
        (0..asked).map_while(take).collect()
    }

    #[test]
    fn no_second_sees_more_turns_than_the_instance_allows() {
        for per_second in [6, 10, 30, 31, 100, 300] {
            let all = turns(Rhythm::of(Lane::Work, per_second), 2000);
            let busiest = all.iter().map(|from| all.iter().filter(|at| (*from..from + 1_000_000).contains(at)).count());
            let busiest = busiest.max().unwrap_or_default();
            assert!(busiest <= per_second as usize, "{busiest} of {per_second}");
            assert!(busiest * 10 >= per_second as usize * 6, "{busiest} of {per_second}");
        }
        let lists = turns(Rhythm::of(Lane::RunLists, 30), 100);
        let busiest =
            lists.iter().map(|from| lists.iter().filter(|at| (*from..from + 60_000_000).contains(at)).count());
        assert!(busiest.max().unwrap_or_default() <= 30);
    }

    #[test]
    fn bulk_gets_no_turn_while_work_is_waiting() {
        let (work, bulk) = (Rhythm::of(Lane::Work, 30), Rhythm::of(Lane::Bulk, 30));
        let mut next = 0;
        for _ in 0..20 {
            next = work.take(next, 0).unwrap().0;
        }
        assert!(bulk.take(next, 0).is_err());
        assert!(work.take(next, 0).is_ok());
        assert!(bulk.take(next, 1_000_000).is_ok());
    }
}
