//! What is free and who is there, as placements change it.

use std::collections::BTreeMap;

use super::amounts::Amounts;
use super::column::{Column, ColumnId, MISSING};
use crate::id::TaskGroup;
use crate::resources::{Demand, HostPorts, ports_short};
use crate::snapshot::{InstanceView, Snapshot};

/// Neighbouring instances are passed over together when none of them has room. Few in tests, so that small
/// clusters have many chunks.
const CHUNK_LEN: usize = if cfg!(test) { 4 } else { 64 };

/// A task group, numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(u32);

/// One placement of this series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) ordinal: usize,
    pub(super) group: GroupId,
    /// Position in the log of the placement before this one on the same instance.
    before: Option<u32>,
}

/// The free room of every instance, the placements made so far, and the tasks of each group.
#[derive(Debug)]
pub(super) struct Occupancy<'a> {
    snapshot: &'a Snapshot,
    amounts: Vec<Amounts>,
    /// The largest free amounts of each chunk of instances.
    chunks: Vec<Amounts>,
    /// Ports taken where a placement took some; the others are as in the snapshot.
    ports_taken: BTreeMap<usize, HostPorts>,
    log: Vec<Placed>,
    /// Position in the log of the newest placement on each instance; empty until there is one.
    newest: Vec<Option<u32>>,
    groups: Groups,
}

/// The task groups. Those of the tasks that run already are read only when somebody counts tasks.
#[derive(Debug, Default)]
struct Groups {
    ids: BTreeMap<TaskGroup, GroupId>,
    last: Option<(TaskGroup, GroupId)>,
    tasks: Vec<GroupTasks>,
    running_tasks_read: bool,
}

#[derive(Debug)]
struct GroupTasks {
    name: TaskGroup,
    /// The instance of each task.
    ordinals: Vec<usize>,
    /// How many tasks are in each bucket of the columns that were asked for.
    counts: Vec<(ColumnId, Vec<u32>)>,
}

impl<'a> Occupancy<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let instances = snapshot.instances().iter();
        let amounts: Vec<Amounts> = instances
            .map(|instance| Amounts::of_room(instance.record.room()))
            .collect();
        Self {
            snapshot,
            chunks: amounts
                .chunks(CHUNK_LEN)
                .map(|chunk| Amounts::max_of(chunk.iter().copied()))
                .collect(),
            amounts,
            ports_taken: BTreeMap::new(),
            log: Vec::new(),
            newest: Vec::new(),
            groups: Groups::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.amounts.len()
    }

    pub(super) fn view(&self, ordinal: usize) -> Option<&'a InstanceView> {
        self.snapshot.instances().get(ordinal)
    }

    /// What is free on an instance; nothing when there is no such instance.
    #[inline]
    pub(super) fn amounts(&self, ordinal: usize) -> Amounts {
        self.amounts.get(ordinal).copied().unwrap_or_default()
    }

    /// What is free on every instance.
    pub(super) fn all_amounts(&self) -> &[Amounts] {
        &self.amounts
    }

    pub(super) fn ports_taken(&self, ordinal: usize) -> Option<&HostPorts> {
        let changed = self.ports_taken.get(&ordinal);
        changed.or_else(|| self.view(ordinal).map(|view| &view.record.room().ports_taken))
    }

    /// Whether these ports are free on an instance.
    pub(super) fn has_ports(&self, ordinal: usize, ports: &HostPorts) -> bool {
        let taken = || self.ports_taken(ordinal);
        ports.is_empty() || taken().is_some_and(|taken| ports_short(ports, taken).is_none())
    }

    /// Whether a demand fits in what is free on an instance.
    pub(super) fn fits(&self, ordinal: usize, demand: &Demand) -> bool {
        self.amounts(ordinal).cover(Amounts::of_demand(demand)) && self.has_ports(ordinal, &demand.ports)
    }

    /// All placements, the oldest first.
    pub(super) fn log(&self) -> &[Placed] {
        &self.log
    }

    /// The groups of the tasks that were placed on an instance, the newest first.
    pub(super) fn placed_on(&self, ordinal: usize) -> impl Iterator<Item = &TaskGroup> + Clone {
        let newest = self.newest.get(ordinal).copied().flatten();
        let entry = |position: Option<u32>| position.and_then(|position| self.log.get(position as usize));
        std::iter::successors(entry(newest), move |placed| entry(placed.before))
            .filter_map(|placed| self.groups.tasks(placed.group).map(|tasks| &tasks.name))
    }

    /// Takes the room of one task.
    pub(super) fn put(&mut self, ordinal: usize, demand: &Demand, group: GroupId, columns: &[Column]) {
        self.take(ordinal, Amounts::of_demand(demand));
        if !demand.ports.is_empty() {
            let mut taken = self.ports_taken(ordinal).cloned().unwrap_or_default();
            taken.insert_all(&demand.ports);
            self.ports_taken.insert(ordinal, taken);
        }
        if self.newest.is_empty() {
            self.newest = vec![None; self.amounts.len()];
        }
        let position = u32::try_from(self.log.len()).ok();
        if let Some(newest) = self.newest.get_mut(ordinal) {
            self.log.push(Placed {
                ordinal,
                group,
                before: std::mem::replace(newest, position),
            });
        }
        if let Some(tasks) = self.groups.tasks_mut(group) {
            tasks.add(ordinal, columns);
        }
    }

    fn take(&mut self, ordinal: usize, demand: Amounts) {
        let Some(amounts) = self.amounts.get_mut(ordinal) else {
            return;
        };
        let before = std::mem::replace(amounts, amounts.left_after(demand));
        let chunk = ordinal / CHUNK_LEN;
        if let Some(max) = self.chunks.get_mut(chunk) {
            let first = chunk.saturating_mul(CHUNK_LEN);
            let rest = self.amounts.get(first..).unwrap_or(&[]);
            *max = Amounts::max_without(before, *max, rest.get(..CHUNK_LEN).unwrap_or(rest));
        }
    }

    /// Splits rising ordinals by chunk, each with the largest free amounts in its chunk.
    pub(super) fn by_chunk<'o>(
        &'o self,
        ordinals: &'o [u32],
    ) -> impl Iterator<Item = (Amounts, &'o [u32])> + 'o {
        let mut rest = ordinals;
        std::iter::from_fn(move || {
            let chunk = *rest.first()? as usize / CHUNK_LEN;
            let end = chunk.saturating_add(1).saturating_mul(CHUNK_LEN);
            let near = rest.get(..CHUNK_LEN).unwrap_or(rest);
            let (own, others) =
                rest.split_at_checked(near.partition_point(|ordinal| (*ordinal as usize) < end))?;
            rest = others;
            Some((self.chunks.get(chunk).copied().unwrap_or_default(), own))
        })
    }

    /// The number of a group.
    pub(super) fn group(&mut self, name: &TaskGroup) -> GroupId {
        self.groups.id(name)
    }

    /// The instances of a group's tasks, one entry for each task.
    pub(super) fn tasks_of(&mut self, group: GroupId) -> &[usize] {
        self.read_running_tasks();
        self.groups.tasks(group).map_or(&[], |tasks| &tasks.ordinals)
    }

    /// Starts to count a group's tasks by the buckets of a column.
    pub(super) fn count_by(&mut self, group: GroupId, id: ColumnId, column: &Column) {
        self.read_running_tasks();
        let Some(tasks) = self.groups.tasks_mut(group) else {
            return;
        };
        if tasks.counts.iter().any(|(known, _)| *known == id) {
            return;
        }
        let mut counts = vec![0_u32; column.buckets()];
        for ordinal in &tasks.ordinals {
            count(&mut counts, column.bucket_of(*ordinal));
        }
        tasks.counts.push((id, counts));
    }

    /// How many tasks of a group are in each bucket of a column, once [`Self::count_by`] was called.
    pub(super) fn counts(&self, group: GroupId, column: ColumnId) -> &[u32] {
        let counts = self.groups.tasks(group).map_or(&[][..], |tasks| &tasks.counts);
        counts
            .iter()
            .find(|(id, _)| *id == column)
            .map_or(&[], |(_, counts)| counts)
    }

    fn read_running_tasks(&mut self) {
        if self.groups.running_tasks_read {
            return;
        }
        self.groups.running_tasks_read = true;
        for (ordinal, instance) in self.snapshot.instances().iter().enumerate() {
            for name in instance.record.task_groups() {
                let group = self.groups.id(name);
                if let Some(tasks) = self.groups.tasks_mut(group) {
                    tasks.ordinals.push(ordinal);
                }
            }
        }
    }
}

impl Groups {
    fn id(&mut self, name: &TaskGroup) -> GroupId {
        if let Some((last, id)) = &self.last
            && last == name
        {
            return *id;
        }
        let id = match self.ids.get(name) {
            Some(id) => *id,
            None => {
                let id = GroupId(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
                self.ids.insert(name.clone(), id);
                self.tasks.push(GroupTasks {
                    name: name.clone(),
                    ordinals: Vec::new(),
                    counts: Vec::new(),
                });
                id
            }
        };
        self.last = Some((name.clone(), id));
        id
    }

    fn tasks(&self, group: GroupId) -> Option<&GroupTasks> {
        self.tasks.get(group.0 as usize)
    }

    fn tasks_mut(&mut self, group: GroupId) -> Option<&mut GroupTasks> {
        self.tasks.get_mut(group.0 as usize)
    }
}

impl GroupTasks {
    fn add(&mut self, ordinal: usize, columns: &[Column]) {
        self.ordinals.push(ordinal);
        for (id, counts) in &mut self.counts {
            if let Some(column) = columns.get(id.position()) {
                count(counts, column.bucket_of(ordinal));
            }
        }
    }
}

fn count(counts: &mut [u32], bucket: u32) {
    debug_assert!(bucket == MISSING || (bucket as usize) < counts.len());
    if let Some(count) = counts.get_mut(bucket as usize) {
        *count = count.saturating_add(1);
    }
}
