//! What a workspace's outputs are, given what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Hcp, Seen, State, Values, Way};
use crate::scenario::{Kind, Spec};

impl Hcp {
    /// What a run of the workspace would read now, by number; a workspace without a state is left out.
    #[must_use]
    pub fn look_at_inputs(&self, number: usize, program: u64) -> BTreeMap<usize, Seen> {
        self.look_at(self.sites[number].spec.reads_in(program))
    }

    /// What is there to be read of those.
    pub(super) fn look_at(&self, reads: impl Iterator<Item = usize>) -> BTreeMap<usize, Seen> {
        let seen = |read: usize| {
            let site = self.sites.get(read).filter(|site| site.alive)?;
            let state = site.state()?;
            Some((read, Seen { name: site.name.clone(), values: state.outputs.clone(), created_at: state.created_at }))
        };
        reads.filter_map(seen).collect()
    }

    /// The outputs and the resources that come of what was read, with a setting and a program.
    pub(super) fn evaluate(
        &self,
        number: usize,
        (own, program): (u64, u64),
        saw: &BTreeMap<usize, Seen>,
    ) -> (Values, u64) {
        let inputs = saw.iter().map(|(read, seen)| (*read, &seen.values));
        evaluate(number, &self.sites[number].spec, (own, program), inputs)
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a state version is made of")]
    pub(super) fn push_state(
        &mut self,
        number: usize,
        run: Option<usize>,
        created_at: u64,
        outputs: Values,
        saw: &BTreeMap<usize, Seen>,
        content: u64,
        way: Way,
    ) {
        let empty = way == Way::Destroys;
        self.versions += 1;
        let version = format!("sv-{}", self.versions).parse().expect("it is an id");
        let copies = saw.values().map(|seen| (seen.name.clone(), seen.values.clone())).collect();
        let copies = if empty { BTreeMap::new() } else { copies };
        let site = &mut self.sites[number];
        let (serial, lineage) = (site.states.len() as u64 + 1, site.generation);
        let turned = site.state().is_none_or(|state| state.outputs != outputs);
        site.turns += u64::from(turned);
        site.states.push(Arc::new(State {
            version,
            serial,
            run,
            created_at,
            outputs,
            copies,
            content,
            lineage,
            empty,
            partial: way == Way::Partly,
        }));
    }
}

fn evaluate<'a>(
    number: usize,
    spec: &Spec,
    (own, program): (u64, u64),
    inputs: impl Iterator<Item = (usize, &'a Values)>,
) -> (Values, u64) {
    let alone = mix(number as u64 + 1, own);
    let mut whole = mix(alone, spec.edition(program));
    for (read, values) in inputs {
        whole = mix(whole, read as u64);
        let used = values.iter().enumerate().filter(|(output, _)| spec.uses(program, read, *output));
        whole = used.fold(whole, |whole, (_, value)| mix(whole, *value));
    }
    let base = if spec.kind == Kind::Follows { whole } else { alone };
    let aside = mix(number as u64 + 1, own / 2);
    let base_of = |output: u64| if spec.habits.splits && output > 0 { aside } else { base };
    let outputs = (0..u64::from(spec.outputs)).map(|output| mix(base_of(output), output) >> 16).collect();
    (outputs, if spec.kind == Kind::DataOnly { alone } else { whole })
}

/// Who is affected when the workspace `changed`, in a graph without cycles, takes on the setting `own`: each, and
/// whether its own outputs change. Who uses what is known where plans are shown; elsewhere anything may be used.
#[must_use]
pub fn expected(hcp: &Hcp, changed: usize, own: u64) -> BTreeMap<usize, bool> {
    let mut affected: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    let mut now: Vec<Values> =
        hcp.sites.iter().map(|site| site.state().map_or(Vec::new(), |s| s.outputs.clone())).collect();
    for (number, site) in hcp.sites.iter().enumerate() {
        let (spec, program) = (&site.spec, site.program);
        let heeds = |read: usize, output: usize| !spec.habits.gated || spec.uses(program, read, output);
        let touches = |read: usize| {
            let changed = affected.get(&read).into_iter().flatten().enumerate();
            changed.into_iter().any(|(output, changed)| *changed && heeds(read, output))
        };
        if number != changed && !spec.reads_in(program).any(touches) {
            continue;
        }
        let own = if number == changed { own } else { site.own };
        let mut reads: Vec<usize> = spec.reads_in(program).collect();
        reads.sort_unstable();
        reads.dedup();
        let inputs = reads.iter().map(|read| (*read, &now[*read]));
        let (outputs, _) = evaluate(number, spec, (own, program), inputs);
        affected.insert(number, outputs.iter().zip(&now[number]).map(|(new, old)| new != old).collect());
        now[number] = outputs;
    }
    affected.into_iter().map(|(number, changed)| (number, changed.contains(&true))).collect()
}

/// A number that follows from two others and looks like neither.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = (a ^ b.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9 ^ b);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
