//! How fast the scanner is next to what else could read a state, and next to reading alone.

mod stategen;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretSlice;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sluice_hcp::digest::Digester;
use sluice_hcp::state::Scanner;

const CHUNK: usize = 64 << 10;

fn scan(state: &[u8]) -> usize {
    let mut scanner = Scanner::new(Digester::new(&SecretSlice::from(b"bench".to_vec())));
    for chunk in state.chunks(CHUNK) {
        scanner.push(chunk).expect("a generated state is one");
    }
    scanner.finish().expect("a generated state is whole").references.len()
}

/// The shape alone, all of its grammar checked: the fastest a deserializer can be asked to be.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    resources: Vec<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    mode: &'a str,
    r#type: &'a str,
    instances: Vec<IgnoredAny>,
}

fn typed(state: &[u8]) -> usize {
    let shape: Shape<'_> = serde_json::from_slice(state).expect("a generated state is one");
    let matters = |kind: &str| matches!(kind, "terraform_remote_state" | "tfe_outputs");
    let found = shape.resources.iter().filter(|one| one.mode == "data" && matters(one.r#type));
    found.map(|one| one.instances.len()).sum()
}

fn tree(state: &[u8]) -> usize {
    let state: serde_json::Value = serde_json::from_slice(state).expect("a generated state is one");
    state["resources"].as_array().map_or(0, Vec::len)
}

/// Copies the state through one chunk: what reading it costs at least.
fn copy(state: &[u8]) -> usize {
    let mut buffer = vec![0; CHUNK];
    for chunk in state.chunks(CHUNK) {
        buffer[..chunk.len()].copy_from_slice(chunk);
        black_box(&mut buffer);
    }
    state.len()
}

type Way = fn(&[u8]) -> usize;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for (name, bytes) in [("0.1 MB", 100_000), ("10 MB", 10_000_000), ("100 MB", 100_000_000)] {
        let mut state = Vec::new();
        let truth = stategen::write(bytes, &mut state).expect("a vector takes every write");
        assert_eq!((scan(&state), typed(&state)), (truth.references, truth.references), "both find all of {truth:?}");
        group.throughput(Throughput::Bytes(state.len() as u64));
        let ways: [(&str, Way); 4] =
            [("scanner", scan), ("serde_json typed", typed), ("serde_json Value", tree), ("copy", copy)];
        for (way, read) in ways {
            group.bench_with_input(BenchmarkId::new(way, name), &state, |bencher, state| {
                bencher.iter(|| read(black_box(state)));
            });
        }
    }
    group.finish();
}

criterion_group!(scan_benches, benches);
criterion_main!(scan_benches);
