//! Breadth-first search through every state, and the way back from the goal.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::action::{Action, Actor, Successors};
use crate::property::{Violation, all_done, at_rest};
use crate::state::{Attention, Instance, Others, Progress, Report, State, Submission};
use crate::world::{Model, Reports};
use crate::{admitter, faults, reconciler, tracker};

/// What a search found.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// Different states reached.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States from which, without further faults, the end of all tasks can no longer be reached.
    pub stuck: usize,
    /// The first broken promise, with the shortest way to it.
    pub violation: Option<(Violation, Vec<Action>)>,
    /// Whether every state was visited.
    pub complete: bool,
}

/// States are remembered by a fingerprint of 128 bits: with ten million states, two of them share one with
/// a probability below one in 10^24.
#[derive(Clone, Copy, Debug)]
struct Fingerprints(u64, u64);

impl Default for Fingerprints {
    fn default() -> Self {
        Self(0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344)
    }
}

impl Fingerprints {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 29;
        self.1 = (self.1.rotate_left(23) ^ word).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        self.1 ^= self.1 >> 32;
    }

    fn of(model: &Model, state: &State) -> u128 {
        let mut fingerprints = Self::default();
        state.tasks[model.tasks()].hash(&mut fingerprints);
        state.instances[model.instances()].hash(&mut fingerprints);
        state.admitters[..model.world.admitters].hash(&mut fingerprints);
        (state.tracker, state.reconciler, state.cluster, state.faults_left).hash(&mut fingerprints);
        (u128::from(fingerprints.0) << 64) | u128::from(fingerprints.1)
    }
}

impl Hasher for Fingerprints {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk
                .iter()
                .fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
            self.mix(word);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A fingerprint needs no hashing of its own.
#[derive(Default)]
struct FirstWord(u64);

impl Hasher for FirstWord {
    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, value: u128) {
        self.0 = u64::try_from(value >> 64).unwrap_or(0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where a state was first reached from, and by which of that state's steps.
#[derive(Clone, Copy)]
struct Origin {
    from: u32,
    step: u16,
}

/// What is known of all states reached so far.
struct Visited {
    numbers: HashMap<u128, u32, BuildHasherDefault<FirstWord>>,
    origins: Vec<Origin>,
    /// Steps without a fault, state by state in the order of their numbers.
    edges: Vec<u32>,
    edges_end: Vec<usize>,
    goals: Vec<u32>,
    queue: VecDeque<State>,
}

impl Visited {
    /// The number of a state, which is queued when it is new.
    fn number(&mut self, model: &Model, state: &State, origin: Origin) -> u32 {
        let next = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(Fingerprints::of(model, state)).or_insert(next);
        if number == next {
            self.origins.push(origin);
            self.queue.push_back(*state);
        }
        number
    }
}

/// Visits every state of a model, at most `states_max`. The first broken promise ends the search.
pub fn explore(model: &Model, states_max: usize) -> Exploration {
    let first = first_state(model);
    let mut visited = Visited {
        numbers: HashMap::default(),
        origins: Vec::new(),
        edges: Vec::new(),
        edges_end: Vec::new(),
        goals: Vec::new(),
        queue: VecDeque::new(),
    };
    visited.number(model, &first, Origin { from: 0, step: 0 });
    let mut steps = 0;
    let mut found = Exploration {
        states: 0,
        steps: 0,
        stuck: 0,
        violation: None,
        complete: true,
    };
    while let Some(state) = visited.queue.pop_front() {
        let from = u32::try_from(visited.edges_end.len()).unwrap_or(u32::MAX);
        if let Some(violation) = at_rest(model, &state) {
            found.violation = Some((violation, trace(model, &visited, from, None)));
            break;
        }
        if all_done(model, &state) {
            visited.goals.push(from);
        }
        for (step, successor) in successors(model, &state).all.into_iter().enumerate() {
            steps += 1;
            match successor.outcome {
                Ok(next) => {
                    let step = u16::try_from(step).unwrap_or(u16::MAX);
                    let number = visited.number(model, &next, Origin { from, step });
                    if successor.action.actor != Actor::Fault {
                        visited.edges.push(number);
                    }
                }
                Err(violation) => {
                    found.violation = Some((violation, trace(model, &visited, from, Some(successor.action))));
                    break;
                }
            }
        }
        visited.edges_end.push(visited.edges.len());
        if found.violation.is_some() || visited.origins.len() > states_max {
            break;
        }
    }
    found.complete = found.violation.is_none() && visited.queue.is_empty();
    found.states = visited.origins.len();
    found.steps = steps;
    if found.complete {
        let stuck = stuck(&visited);
        found.stuck = stuck.len();
        let shortest = stuck.first();
        found.violation = shortest.map(|&state| (Violation::Stuck, trace(model, &visited, state, None)));
    }
    found
}

/// Every step that is possible in a state.
fn successors(model: &Model, state: &State) -> Successors {
    let mut out = Successors::default();
    for by in 0..model.world.admitters {
        let begin = out.all.len();
        admitter::steps(model, state, by, &mut out);
        for call in begin..out.all.len() {
            let call = out.all[call].clone();
            faults::lost_reply(model, state, by, &call, &mut out);
        }
    }
    tracker::steps(model, state, &mut out);
    reconciler::steps(model, state, &mut out);
    faults::world_steps(model, state, &mut out);
    faults::world_faults(model, state, &mut out);
    faults::invocation_faults(model, state, &mut out);
    out
}

fn first_state(model: &Model) -> State {
    let mut state = State {
        faults_left: model.world.faults,
        ..State::default()
    };
    for index in model.instances() {
        let (others, remaining) = match model.world.reports {
            Reports::AsReserved => (Others::Besides(0), 0),
            Reports::All => (Others::Unknown, model.world.instances[index]),
        };
        let stored = Report {
            version: 1,
            remaining,
            inactive: false,
            dated: true,
        };
        state.instances[index] = Instance {
            version: 1,
            stored,
            others,
            ..Instance::default()
        };
    }
    for index in model.tasks() {
        if model.world.submitted & (1 << index) == 0 {
            state.tasks[index].progress = Progress::Waiting;
            state.tasks[index].entry = true;
            state.cluster.attention = Attention::Awake;
            state.cluster.wakes = 1;
        } else {
            state.tasks[index].submission = Submission::Queued;
        }
    }
    state.normalise();
    state
}

/// States from which no way without faults leads to a goal, in the order in which they were reached.
fn stuck(visited: &Visited) -> Vec<u32> {
    let count = visited.origins.len();
    let edges_of = |state: usize| {
        let begin = if state == 0 {
            0
        } else {
            visited.edges_end[state - 1]
        };
        &visited.edges[begin..visited.edges_end[state]]
    };
    // The steps turned round: for each state, who leads to it.
    let mut begins = vec![0_usize; count + 1];
    for &target in &visited.edges {
        begins[target as usize + 1] += 1;
    }
    for state in 0..count {
        begins[state + 1] += begins[state];
    }
    let mut places = begins.clone();
    let mut sources = vec![0_u32; visited.edges.len()];
    for state in 0..count {
        for &target in edges_of(state) {
            sources[places[target as usize]] = u32::try_from(state).unwrap_or(u32::MAX);
            places[target as usize] += 1;
        }
    }
    let mut reaches_goal = vec![false; count];
    let mut open = visited.goals.clone();
    for &goal in &open {
        reaches_goal[goal as usize] = true;
    }
    while let Some(state) = open.pop() {
        for &source in &sources[begins[state as usize]..begins[state as usize + 1]] {
            if !reaches_goal[source as usize] {
                reaches_goal[source as usize] = true;
                open.push(source);
            }
        }
    }
    (0..u32::try_from(count).unwrap_or(u32::MAX))
        .filter(|&state| !reaches_goal[state as usize])
        .collect()
}

/// The shortest way from the first state to a state, and one step further.
fn trace(model: &Model, visited: &Visited, state: u32, last: Option<Action>) -> Vec<Action> {
    let mut chosen = Vec::new();
    let mut at = state;
    while at != 0 {
        let origin = visited.origins[at as usize];
        chosen.push(origin.step);
        at = origin.from;
    }
    let mut here = first_state(model);
    let mut way = Vec::with_capacity(chosen.len() + 1);
    for step in chosen.into_iter().rev() {
        let taken = successors(model, &here).all.swap_remove(usize::from(step));
        way.push(taken.action);
        if let Ok(next) = taken.outcome {
            here = next;
        }
    }
    way.extend(last);
    way
}
