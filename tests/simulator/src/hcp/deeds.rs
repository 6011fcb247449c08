//! What people do to workspaces.

use sluice_domain::Standing;

use super::{Hcp, Timer, name, site_id};
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
                self.start(number, "a change", false);
            }
            Deed::Run => {
                self.start(number, "a push", false);
            }
            Deed::Confirm => waits.into_iter().for_each(|run| self.apply(run)),
            Deed::Discard => waits.into_iter().for_each(|run| self.end(run, Standing::Discarded)),
            Deed::Cancel => first.into_iter().for_each(|run| self.end(run, Standing::Canceled)),
            Deed::Break(runs) => self.sites[number].breaks = runs,
            Deed::Fix => {
                self.sites[number].breaks = 0;
                self.start(number, "a fix", false);
            }
            Deed::Destroy => {
                self.start(number, "a destroy", true);
            }
            Deed::Rename => self.rename(number),
            Deed::Delete => self.delete(number),
            Deed::Remake => {
                self.delete(number);
                self.remake(number);
                self.start(number, "made anew", false);
            }
            Deed::Lock => self.sites[number].locked = true,
            Deed::Unlock => {
                self.sites[number].locked = false;
                self.timers.push((self.now + SECOND, Timer::Begin(number)));
            }
        }
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
        self.names.insert(site.name.clone(), number);
        self.ids.insert(site.id.clone(), number);
    }
}
