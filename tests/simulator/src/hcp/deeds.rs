//! What people do to workspaces.

use sluice_domain::Standing;

use super::{Hcp, Timer, Way, name, site_id};
use crate::scenario::{Deed, SECOND};

impl Hcp {
    /// A person does something.
    pub fn act(&mut self, number: usize, deed: Deed) {
        if number >= self.sites.len() || !self.sites[number].alive && deed != Deed::Remake {
            return;
        }
        self.stirs += 1;
        let first = self.live_runs(number).next();
        let waits = first.filter(|run| self.runs[*run].standing == Standing::AwaitingPerson);
        match deed {
            Deed::Change => {
                self.sites[number].own += 1;
                self.start(number, "a change", Way::Whole);
            }
            Deed::Run => {
                self.start(number, "a push", Way::Whole);
            }
            Deed::Rewrite => {
                self.sites[number].program += 1;
                self.start(number, "another program", Way::Whole);
            }
            Deed::Confirm => waits.into_iter().for_each(|run| self.apply(run)),
            Deed::Discard => waits.into_iter().for_each(|run| self.end(run, Standing::Discarded)),
            Deed::Cancel => first.into_iter().for_each(|run| self.end(run, Standing::Canceled)),
            Deed::Break(runs) => self.sites[number].breaks = runs,
            Deed::Fix => {
                self.sites[number].breaks = 0;
                self.start(number, "a fix", Way::Whole);
            }
            Deed::Destroy => {
                self.start(number, "a destroy", Way::Destroys);
            }
            Deed::Rename => self.rename(number),
            Deed::Delete => self.delete(number),
            Deed::Remake => {
                self.delete(number);
                self.remake(number);
                self.start(number, "made anew", Way::Whole);
            }
            Deed::Partly => {
                self.start(number, "a target", Way::Partly);
            }
            Deed::Speculate => {
                self.start(number, "a pull request", Way::PlanOnly);
            }
            Deed::Push => self.push(number),
            Deed::Tag(tag) => {
                let site = &mut self.sites[number];
                site.tag = tag;
                site.tags_had.insert(tag);
            }
            Deed::Pause | Deed::Resume | Deed::Survey => {}
            Deed::Lock => self.sites[number].locked = true,
            Deed::Unlock => {
                self.sites[number].locked = false;
                self.timers.push((self.now + SECOND, Timer::Begin(number)));
            }
        }
    }

    /// A person pushes a state, while nobody else holds the workspace.
    fn push(&mut self, number: usize) {
        let site = &self.sites[number];
        let (busy, run) = (self.live_runs(number).next().is_some() || site.writing || site.locked, site.through);
        let (Some(run), false) = (run.filter(|_| site.state().is_some_and(|state| !state.empty)), busy) else { return };
        self.sites[number].own += 1;
        let saw = self.runs[run].saw.clone();
        // Whoever pushes a state changes it by hand: what it was made from stays.
        let with = (self.sites[number].own, self.runs[run].program);
        let (outputs, content) = self.evaluate(number, with, &saw);
        self.push_state(number, None, self.clock(), outputs, &saw, content, Way::Whole);
    }

    fn rename(&mut self, number: usize) {
        let site = &mut self.sites[number];
        self.names.remove(&site.name);
        site.renames += 1;
        site.name = name(number, site.renames);
        self.names.insert(site.name.clone(), number);
    }

    fn delete(&mut self, number: usize) {
        let site = &mut self.sites[number];
        self.names.remove(&site.name);
        self.ids.remove(&site.id);
        site.alive = false;
    }

    fn remake(&mut self, number: usize) {
        let site = &mut self.sites[number];
        site.generation += 1;
        site.id = site_id(number, site.generation);
        site.alive = true;
        site.own += 1;
        site.states.clear();
        (site.through, site.last, site.locked, site.writing, site.breaks) = (None, None, false, false, 0);
        site.tag = None;
        self.names.insert(site.name.clone(), number);
        self.ids.insert(site.id.clone(), number);
    }
}
