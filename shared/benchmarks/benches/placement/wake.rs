//! A full cluster, many waiting, one task ends: how long does it take to find out who starts?

use std::collections::BTreeSet;
use std::sync::Arc;

use berth_benchmarks::{Dice, InstanceSketch, snapshot, usual};
use berth_scheduler::admission::{PlanOptions, plan};
use berth_scheduler::id::{LaneKey, Revision, TaskGroup, TaskId};
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::quantity::{CpuUnits, MemoryMib};
use berth_scheduler::resources::Demand;
use berth_scheduler::run_time::{RunOutlook, RunTimes};
use berth_scheduler::shape::Shape;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, LaneTail, Priority, Rank, WaitingTask};

use crate::Outcome;
use crate::clock::{decisions_per_second, per_second};

const LANES: u32 = 512;

/// How many tasks of a lane a cycle loads.
const HEADS: usize = 2;

/// A cluster where every instance but one is full: what is left is too little of one thing or of both.
fn full(instances: u32) -> Vec<InstanceSketch> {
    let mut dice = Dice::new(3);
    let mut sketches = usual(instances);
    for sketch in &mut sketches {
        let (much_cpu, much_memory) = (dice.roll(0, 4000), dice.roll(0, 8000));
        (sketch.cpu, sketch.memory) = match dice.roll(0, 2) {
            0 => (dice.roll(0, 127), much_memory),
            1 => (much_cpu, dice.roll(0, 199)),
            _ => (dice.roll(0, 127), dice.roll(0, 199)),
        };
    }
    if let Some(freed) = sketches.get_mut(17) {
        (freed.cpu, freed.memory) = (512, 600);
    }
    sketches
}

/// A lane with all that waits in it.
struct WholeLane {
    key: LaneKey,
    shape: Arc<Shape>,
    tasks: Vec<WaitingTask>,
}

fn waiting(count: u32) -> Outcome<Vec<WholeLane>> {
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let demand = Demand {
            cpu: CpuUnits::new(128 + lane),
            memory: MemoryMib::new(200 + lane * 3),
            ..Demand::default()
        };
        let shape = Arc::new(Shape {
            demand,
            ..Shape::default()
        });
        lanes.push(WholeLane {
            key: LaneKey::parse(&format!("lane-{lane}"))?,
            shape,
            tasks: Vec::new(),
        });
    }
    let group = TaskGroup::parse("family:app")?;
    let (lowest, some) = (Priority::default(), Priority::new(50).unwrap_or_default());
    for number in 0..count {
        let task = TaskId::parse(&format!("t{number}"))?;
        let priority = if number % 7 == 0 { some } else { lowest };
        let rank = Rank::new(priority, Timestamp::from_millis(i64::from(number)), &task);
        if let Some(WholeLane { tasks, .. }) = lanes.get_mut((number % LANES) as usize) {
            tasks.push(WaitingTask {
                rank,
                group: group.clone(),
                stamp: Revision::new(1),
                outlook: RunOutlook::default(),
            });
        }
    }
    for WholeLane { tasks, .. } in &mut lanes {
        tasks.sort_by(|one, other| one.rank.cmp(&other.rank));
    }
    Ok(lanes)
}

/// Prints the table.
pub(crate) fn print() -> Outcome<()> {
    println!("\nwake: {LANES} lanes on a full cluster, one slot freed; lanes looked at per CPU s");
    println!("{:>12} {:>12} {:>12}", "waiting", "1,000", "5,000");
    let clusters = [snapshot(&full(1000))?, snapshot(&full(5000))?];
    for count in [10_000, 100_000, 1_000_000] {
        let waiting = waiting(count)?;
        let options = PlanOptions {
            admissions_max: 100,
            closed: &BTreeSet::new(),
            policy: WaitingPolicy::default(),
            now: Timestamp::from_millis(0),
            run_times: &RunTimes::default(),
        };
        let mut speeds = Vec::new();
        for cluster in &clusters {
            speeds.push(decisions_per_second(waiting.len(), || {
                let lanes: Vec<Lane> = waiting.iter().map(load).collect();
                plan(cluster, &lanes, &options)
            }));
        }
        let speeds: Vec<String> = speeds.into_iter().map(per_second).collect();
        println!(
            "{count:>12} {:>12} {:>12}",
            speeds.first().map_or("", |it| it),
            speeds.get(1).map_or("", |it| it)
        );
    }
    Ok(())
}

fn load(WholeLane { key, shape, tasks }: &WholeLane) -> Lane {
    let tail = if tasks.len() > HEADS {
        LaneTail::MoreWaiting
    } else {
        LaneTail::Empty
    };
    Lane {
        key: key.clone(),
        shape: Arc::clone(shape),
        heads: tasks.iter().take(HEADS).cloned().collect(),
        tail,
        claims: Vec::new(),
    }
}
