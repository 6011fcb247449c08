//! The list of the organization's workspaces.

use std::cmp::Reverse;

use sluice_domain::ports::{ListPage, RunListed, WorkspaceListed};
use sluice_domain::{SurveyScope, Timestamp};

use super::{Hcp, run_id};

/// Workspaces on a page: fewer than the real list has, so that there are pages.
pub const PAGE_SIZE: usize = 5;

impl Hcp {
    /// A page, from 1, of the list.
    #[must_use]
    pub fn workspaces(&self, scope: SurveyScope, page: u32) -> ListPage {
        let mut alive: Vec<usize> = (0..self.sites.len()).filter(|number| self.sites[*number].alive).collect();
        match scope {
            SurveyScope::LatelyRun => alive.sort_by_key(|number| {
                let created_at = self.current_run(*number).map(|run| self.runs[run].created_at);
                let idle = created_at.is_none();
                (idle != self.idle_first, Reverse(created_at), *number)
            }),
            SurveyScope::LatelyChanged => {
                alive.sort_by_key(|number| Reverse(self.sites[*number].state().map(|state| state.created_at)));
            }
            SurveyScope::All => alive.sort_by_key(|number| self.sites[*number].name.clone()),
        }
        let from = PAGE_SIZE * (page.max(1) as usize - 1);
        let workspaces: Vec<WorkspaceListed> =
            alive.iter().skip(from).take(PAGE_SIZE).map(|number| self.listed(*number)).collect();
        let next = (from + PAGE_SIZE < alive.len()).then_some(page + 1);
        ListPage { workspaces, next, total: u32::try_from(alive.len()).unwrap_or(u32::MAX) }
    }

    /// The run that holds the workspace, or the last that did. One that only plans never does.
    fn current_run(&self, number: usize) -> Option<usize> {
        self.live_runs(number).next().or(self.sites[number].last)
    }

    fn listed(&self, number: usize) -> WorkspaceListed {
        let run = self.current_run(number).map(|number| {
            let run = &self.runs[number];
            RunListed {
                run: run_id(number),
                created_at: Timestamp(run.created_at),
                standing: run.standing,
                at: Timestamp(run.since),
                marker: run.marker.clone(),
            }
        });
        let state = self.sites[number].state().map(|state| state.version.clone());
        WorkspaceListed { found: self.found_at(number), state, run }
    }
}
