//! How long one decision over a whole organization takes: 100,000 workspaces, a million edges, in layers.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sluice_domain::{Digest, Edge, Facts, Graph, Outputs, Policy, StateFacts, Timestamp, Workspace, decide};

const LAYERS: usize = 80;

fn workspace(number: usize) -> Workspace {
    format!("app.terraform.io/acme/workspace-{number:06}").parse().unwrap()
}

fn outputs(value: u8) -> Outputs {
    Outputs::from([("id".to_owned(), Digest([value; 16])), ("name".to_owned(), Digest([9; 16]))])
}

/// Each workspace reads `reads` of the layer above. `changed`: the first layer has other outputs than were seen.
fn world(size: usize, reads: usize, changed: bool) -> BTreeMap<Workspace, Facts> {
    let width = size / LAYERS;
    let mut random = 0x9e37_79b9_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap()
    };
    let mut facts = BTreeMap::new();
    for number in 0..size {
        let layer = number / width;
        let mut one = Facts { outputs: outputs(u8::from(changed && layer == 0)), ..Facts::default() };
        one.state = Some(StateFacts::new(format!("sv-{number}").parse().unwrap(), 1, None, Timestamp(1)));
        for _ in 0..if layer == 0 { 0 } else { reads } {
            let producer = workspace((layer - 1) * width + next() % width);
            one.producers.insert(producer, Edge { observed: outputs(0), ..Edge::default() });
        }
        facts.insert(workspace(number), one);
    }
    facts
}

/// Memory of this process, where the system tells it.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for (size, reads) in [(1_000, 5), (10_000, 5), (100_000, 10)] {
        for changed in [false, true] {
            let before = resident_mib();
            let graph = Graph::new(world(size, reads, changed));
            // Later graphs take up the memory of those before.
            if let (Some(before), Some(after), false) = (before, resident_mib(), changed) {
                println!("decide: the graph of {size} workspaces takes {} MiB", after.saturating_sub(before));
            }
            let name = if changed { "first layer changed" } else { "settled" };
            let id = BenchmarkId::new(name, format!("{size} workspaces, {} edges", size * reads));
            group.bench_with_input(id, &graph, |bencher, graph| {
                bencher.iter(|| black_box(decide(black_box(graph), &Policy::default(), Timestamp(2))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
