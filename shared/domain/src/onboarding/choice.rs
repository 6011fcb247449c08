//! Which workspaces of an organization are meant.

use std::collections::BTreeSet;

use wildmatch::WildMatch;

use crate::names::ProjectId;
use crate::onboarding::WorkspaceSeen;

/// A choice of workspaces: those that all that is said applies to; all of them if nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Patterns of names, with `*` for any text. One has to match.
    pub names: Vec<String>,
    /// Plain tags. All have to be there.
    pub tags: BTreeSet<String>,
    /// Projects, in one of which they have to be; None is anywhere.
    pub projects: Option<BTreeSet<ProjectId>>,
}

impl Choice {
    /// Whether `workspace` is meant.
    #[must_use]
    pub fn takes(&self, workspace: &WorkspaceSeen) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|it| WildMatch::new(it).matches(&workspace.name));
        let placed = self
            .projects
            .as_ref()
            .is_none_or(|projects| workspace.project.as_ref().is_some_and(|project| projects.contains(project)));
        named && placed && self.tags.is_subset(&workspace.tags)
    }

    /// Whether projects are meant as a whole, and so what will be in them one day.
    #[must_use]
    pub fn is_whole_projects(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty()
    }

    /// Whether the organization is meant as a whole.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.is_whole_projects() && self.projects.is_none()
    }
}
