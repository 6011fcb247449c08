//! Who reads whom, in memory: nodes by number, edges as rows of producers.

use std::collections::{BTreeMap, HashMap};

use crate::facts::{Edge, Facts};
use crate::names::Workspace;

/// A part of the dependency graph. It holds every ancestor of what is to be decided, or the decision is not sound.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<(Workspace, Facts)>,
    numbers: HashMap<Workspace, usize>,
    /// Producers of each node, in the order of their names.
    producers: Vec<Vec<usize>>,
}

impl Graph {
    /// The graph of `facts`. A producer nothing is known of is a node without facts.
    #[must_use]
    pub fn new(facts: BTreeMap<Workspace, Facts>) -> Self {
        let mut graph = Self::default();
        for (workspace, facts) in facts {
            graph.add(workspace, facts);
        }
        graph.link();
        graph
    }

    fn add(&mut self, workspace: Workspace, facts: Facts) -> usize {
        let number = self.nodes.len();
        self.numbers.insert(workspace.clone(), number);
        self.nodes.push((workspace, facts));
        number
    }

    fn link(&mut self) {
        let mut rows = Vec::with_capacity(self.nodes.len());
        for consumer in 0..self.nodes.len() {
            let named: Vec<Workspace> = self.edges(consumer).map(|(producer, _)| producer.clone()).collect();
            let row = named
                .into_iter()
                .map(|producer| match self.numbers.get(&producer) {
                    Some(number) => *number,
                    None => self.add(producer, Facts::default()),
                })
                .collect();
            rows.push(row);
        }
        rows.resize(self.nodes.len(), Vec::new());
        self.producers = rows;
    }

    /// How many workspaces it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of a workspace.
    #[must_use]
    pub fn number(&self, workspace: &Workspace) -> Option<usize> {
        self.numbers.get(workspace).copied()
    }

    /// The workspace of a number.
    #[must_use]
    pub fn workspace(&self, number: usize) -> &Workspace {
        &self.nodes[number].0
    }

    /// What is known of it.
    #[must_use]
    pub fn facts(&self, number: usize) -> &Facts {
        &self.nodes[number].1
    }

    /// The same, to imagine it otherwise. Its edges have to stay.
    pub(crate) fn facts_mut(&mut self, number: usize) -> &mut Facts {
        &mut self.nodes[number].1
    }

    /// Numbers of the workspaces it reads.
    #[must_use]
    pub fn producers(&self, number: usize) -> &[usize] {
        &self.producers[number]
    }

    /// Its live edges, in the order of the producers' names: the order of [`Self::producers`] too.
    pub fn edges(&self, number: usize) -> impl Iterator<Item = (&Workspace, &Edge)> {
        self.facts(number).producers.iter().filter(|(_, edge)| edge.live())
    }

    /// Strongly connected components, each a list of nodes, producers before their consumers.
    ///
    /// Tarjan's algorithm with its own stack: a chain of a hundred thousand workspaces must not end the process.
    #[must_use]
    pub fn components(&self) -> Vec<Vec<usize>> {
        Tarjan::new(self).run()
    }
}

const UNSEEN: usize = usize::MAX;

struct Tarjan<'a> {
    graph: &'a Graph,
    order: Vec<usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next: usize,
    components: Vec<Vec<usize>>,
}

impl<'a> Tarjan<'a> {
    fn new(graph: &'a Graph) -> Self {
        let size = graph.len();
        Self {
            graph,
            order: vec![UNSEEN; size],
            low: vec![0; size],
            on_stack: vec![false; size],
            stack: Vec::new(),
            next: 0,
            components: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Vec<usize>> {
        for root in 0..self.graph.len() {
            if self.order[root] == UNSEEN {
                self.walk(root);
            }
        }
        self.components
    }

    fn walk(&mut self, root: usize) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if let Some(&producer) = self.graph.producers(node).get(*at) {
                *at += 1;
                if self.order[producer] == UNSEEN {
                    self.enter(producer);
                    path.push((producer, 0));
                } else if self.on_stack[producer] {
                    self.low[node] = self.low[node].min(self.order[producer]);
                }
                continue;
            }
            path.pop();
            if let Some((consumer, _)) = path.last() {
                self.low[*consumer] = self.low[*consumer].min(self.low[node]);
            }
            if self.low[node] == self.order[node] {
                self.close(node);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.order[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn close(&mut self, root: usize) {
        let start = self.stack.iter().rposition(|node| *node == root).expect("a root is on the stack until it closes");
        let mut component = self.stack.split_off(start);
        component.sort_unstable();
        for node in &component {
            self.on_stack[*node] = false;
        }
        self.components.push(component);
    }
}
