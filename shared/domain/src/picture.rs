//! The graph as text that other tools draw: DOT, Mermaid, JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::facts::{Facts, Found};
use crate::names::Workspace;
use crate::verdict::Decision;

/// What a picture shows of one workspace.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// The workspace, `host/organization/name`.
    pub workspace: Workspace,
    /// The last decision about it: its verdict and the reason in words.
    pub verdict: Option<&'static str>,
    /// The reason as a sentence without its subject.
    pub reason: Option<String>,
    /// Ids of runs that are not over.
    pub active_runs: Vec<String>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
}

/// What a picture shows of one dependency.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The workspace that is read.
    pub producer: Workspace,
    /// The workspace that reads.
    pub consumer: Workspace,
    /// How it reads.
    pub found: Vec<Found>,
    /// Where, as Terraform writes addresses.
    pub addresses: Vec<String>,
    /// The outputs that it uses, where a plan told: changes of others do not wake it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<Vec<String>>,
}

/// A picture of what is known, ready to be written in one of several languages.
#[derive(Debug, Clone, Serialize)]
pub struct Picture {
    /// The workspaces, by name.
    pub workspaces: Vec<Node>,
    /// The dependencies, by producer and consumer.
    pub edges: Vec<Line>,
}

impl Picture {
    /// The picture of `known`: facts and the last decision of each workspace.
    #[must_use]
    pub fn new(known: &BTreeMap<Workspace, (Facts, Option<Decision>)>) -> Self {
        let mut workspaces: BTreeMap<&Workspace, Node> = BTreeMap::new();
        let mut edges = Vec::new();
        for (workspace, (facts, decision)) in known {
            let node = Node {
                workspace: workspace.clone(),
                verdict: decision.as_ref().map(|decision| decision.verdict.word()),
                reason: decision.as_ref().map(ToString::to_string),
                active_runs: facts.active.keys().map(ToString::to_string).collect(),
                outputs: facts.outputs.keys().cloned().collect(),
            };
            workspaces.insert(workspace, node);
            for (producer, edge) in facts.producers.iter().filter(|(_, edge)| edge.live()) {
                edges.push(Line {
                    producer: producer.clone(),
                    consumer: workspace.clone(),
                    found: edge.found.iter().copied().collect(),
                    addresses: edge.addresses.iter().cloned().collect(),
                    uses: edge.uses.as_ref().map(|uses| uses.iter().cloned().collect()),
                });
            }
        }
        for line in &edges {
            workspaces.entry(&line.producer).or_insert_with(|| Node {
                workspace: line.producer.clone(),
                verdict: None,
                reason: None,
                active_runs: Vec::new(),
                outputs: Vec::new(),
            });
        }
        let workspaces = workspaces.into_values().collect();
        edges.sort_by(|a, b| (&a.producer, &a.consumer).cmp(&(&b.producer, &b.consumer)));
        Self { workspaces, edges }
    }

    /// Graphviz's DOT.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = String::from("digraph sluice {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in &self.workspaces {
            let style = if node.active_runs.is_empty() { "" } else { ", style=bold" };
            let _ = writeln!(text, "  \"{}\" [label=\"{}\"{style}];", node.workspace, node.workspace.short());
        }
        for edge in &self.edges {
            let _ = writeln!(text, "  \"{}\" -> \"{}\";", edge.producer, edge.consumer);
        }
        text.push_str("}\n");
        text
    }

    /// A Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let number: BTreeMap<&Workspace, usize> =
            self.workspaces.iter().enumerate().map(|(n, node)| (&node.workspace, n)).collect();
        let mut text = String::from("flowchart LR\n");
        for (n, node) in self.workspaces.iter().enumerate() {
            let _ = writeln!(text, "  w{n}[\"{}\"]", node.workspace.short());
        }
        for edge in &self.edges {
            let _ = writeln!(text, "  w{} --> w{}", number[&edge.producer], number[&edge.consumer]);
        }
        text
    }
}
