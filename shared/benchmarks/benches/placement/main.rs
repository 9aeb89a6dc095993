//! Prints how many decisions a CPU second makes, and the ratios that matter: `cargo bench -p berth-benchmarks`.

mod clock;
mod sqlite;
mod wake;

use std::collections::BTreeSet;
use std::error::Error;

use berth_benchmarks::{InstanceSketch, demands, snapshot, usual};
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::TaskGroup;
use berth_scheduler::placement::reference::ReferencePlacement;
use berth_scheduler::placement::{Placement, PlacementSeed};
use berth_scheduler::shape::{BinpackField, Constraint, PlacementTemplate, Shape, SpreadField, Strategy};
use berth_scheduler::snapshot::Snapshot;
use clock::{decisions_per_second, per_second};

type Outcome<T> = Result<T, Box<dyn Error>>;

const TASKS: usize = 10_000;

/// The reference looks at everything every time; it is measured on fewer tasks.
const REFERENCE_TASKS: usize = 20;

/// How often Berth and the others take turns.
const TURNS: usize = 4;

/// The place of a task on W, all tasks alike but for their demand.
struct Case {
    name: &'static str,
    constraint: Option<&'static str>,
    strategies: Vec<Strategy>,
}

fn case(name: &'static str, constraint: Option<&'static str>, strategies: Vec<Strategy>) -> Case {
    Case {
        name,
        constraint,
        strategies,
    }
}

const G2: &str = "attribute:ecs.instance-type =~ g2.*";
const M5: &str = "attribute:ecs.instance-type =~ m5.*";
const FORMULA: &str = "(attribute:ecs.instance-type =~ m5.* or attribute:ecs.instance-type =~ g2.*) \
                       and not(attribute:ecs.availability-zone == us-east-1b)";

fn cases() -> Vec<Case> {
    let memory = || vec![Strategy::Binpack(BinpackField::Memory)];
    let zones = || Strategy::Spread(SpreadField::Attribute("ecs.availability-zone".to_owned()));
    vec![
        case("plain: binpack memory", None, memory()),
        case(
            "plain: binpack cpu",
            None,
            vec![Strategy::Binpack(BinpackField::Cpu)],
        ),
        case("plain: random (no strategy)", None, Vec::new()),
        case("constrained: =~ g2.*", Some(G2), memory()),
        case("constrained: =~ m5.*", Some(M5), memory()),
        case("constrained: (a or b) and not c", Some(FORMULA), memory()),
        case("spread: zone", None, vec![zones()]),
        case(
            "spread: instance",
            None,
            vec![Strategy::Spread(SpreadField::InstanceId)],
        ),
        case(
            "chained: zone, binpack memory",
            None,
            PlacementTemplate::AzBalancedBinpack.strategies(),
        ),
        case(
            "chained: zone, instance",
            None,
            PlacementTemplate::AzBalancedSpread.strategies(),
        ),
        case(
            "chained and constrained: =~ g2.*",
            Some(G2),
            PlacementTemplate::AzBalancedBinpack.strategies(),
        ),
        case("chained: zone, random", None, vec![zones(), Strategy::Random]),
    ]
}

fn shapes(case: &Case, count: usize) -> Outcome<Vec<Shape>> {
    let constraint = case.constraint.map(Expression::parse).transpose()?;
    let constraints: Vec<Constraint> = constraint.into_iter().map(Constraint::MemberOf).collect();
    let shape = |demand| Shape {
        demand,
        constraints: constraints.clone(),
        strategies: case.strategies.clone(),
        ..Shape::default()
    };
    Ok(demands(count).into_iter().map(shape).collect())
}

/// Places one task of each shape on a fresh snapshot and gives how many found a place.
fn place_all(snapshot: &Snapshot, shapes: &[Shape], group: &TaskGroup) -> usize {
    let closed = BTreeSet::new();
    let mut placement = Placement::new(snapshot, &closed);
    let seeds = (0..).map(PlacementSeed::new);
    shapes
        .iter()
        .zip(seeds)
        .filter(|(shape, seed)| placement.place_ordinal(shape, group, *seed).is_ok())
        .count()
}

fn reference_all(snapshot: &Snapshot, shapes: &[Shape], group: &TaskGroup) -> usize {
    let closed = BTreeSet::new();
    let mut placement = ReferencePlacement::new(snapshot, &closed);
    let seeds = (0..).map(PlacementSeed::new);
    shapes
        .iter()
        .zip(seeds)
        .filter(|(shape, seed)| placement.place(shape, group, *seed).is_ok())
        .count()
}

fn place(snapshot: &Snapshot, shapes: &[Shape]) -> Outcome<f64> {
    let group = TaskGroup::parse("family:app")?;
    Ok(decisions_per_second(shapes.len(), || {
        place_all(snapshot, shapes, &group)
    }))
}

/// A cluster made to be hard, and the tasks that suffer.
struct WorstCase {
    name: &'static str,
    sketches: Vec<InstanceSketch>,
    shapes: Vec<Shape>,
}

fn in_racks_of(size: usize) -> Vec<InstanceSketch> {
    let mut sketches = usual(5000);
    for (number, sketch) in sketches.iter_mut().enumerate() {
        sketch.rack = Some(format!("r{}", number / size));
    }
    sketches
}

/// As many as RunTask takes.
fn five_strategies(by_rack: Strategy) -> Vec<Strategy> {
    let by = |name: &str| Strategy::Spread(SpreadField::Attribute(name.to_owned()));
    vec![
        by("ecs.availability-zone"),
        by("ecs.instance-type"),
        by_rack,
        Strategy::Spread(SpreadField::InstanceId),
        Strategy::Binpack(BinpackField::Memory),
    ]
}

fn worst_cases() -> Outcome<Vec<WorstCase>> {
    let memory = case("", None, vec![Strategy::Binpack(BinpackField::Memory)]);
    let by_rack = Strategy::Spread(SpreadField::Attribute("rack".to_owned()));
    let by_own_value = case("", None, vec![by_rack.clone()]);
    let five_deep = case("", None, five_strategies(by_rack));
    let own_value = in_racks_of(1);
    let mut no_cpu = usual(5000);
    for sketch in no_cpu.iter_mut().skip(50) {
        sketch.cpu = 50;
        sketch.memory = 60_000;
    }
    let mut equal = usual(5000);
    for sketch in &mut equal {
        (sketch.instance_type, sketch.cpu, sketch.memory) = ("m5.2xlarge", 8192, 31_744);
    }
    let constrained = case(
        "",
        Some("attribute:rack =~ r.*[02468]"),
        memory.strategies.clone(),
    );
    let mut many = shapes(&memory, TASKS)?;
    for (number, shape) in many.iter_mut().enumerate() {
        let text = format!("attribute:ecs.instance-type != x{}.large", number % 4096);
        shape.constraints = vec![Constraint::MemberOf(Expression::parse(&text)?)];
    }
    let mut demands_only = shapes(&memory, TASKS)?;
    let some: Vec<_> = demands_only
        .iter()
        .take(4096)
        .map(|shape| shape.demand.clone())
        .collect();
    for (shape, demand) in demands_only.iter_mut().zip(some.iter().cycle()) {
        shape.demand = demand.clone();
    }
    let racks_of_five = in_racks_of(5);
    let own_values = own_value.clone();
    let case = |name, sketches, shapes| WorstCase {
        name,
        sketches,
        shapes,
    };
    Ok(vec![
        case(
            "own attribute value each, constrained",
            own_values,
            shapes(&constrained, TASKS)?,
        ),
        case(
            "own attribute value each, spread by it",
            own_value,
            shapes(&by_own_value, TASKS)?,
        ),
        case(
            "racks of five, spread by them",
            racks_of_five.clone(),
            shapes(&by_own_value, TASKS)?,
        ),
        case(
            "racks of five, five strategies",
            racks_of_five,
            shapes(&five_deep, TASKS)?,
        ),
        case("4,950 with much memory and no cpu", no_cpu, shapes(&memory, 400)?),
        case("all equal", equal, shapes(&memory, TASKS)?),
        case("4,096 shapes: demands", usual(5000), demands_only),
        case("4,096 shapes: constraints", usual(5000), many),
    ])
}

/// A part of the table: its name and what prints it.
type Part = (&'static str, fn() -> Outcome<()>);

/// Words on the command line choose some of them.
const PARTS: [Part; 6] = [
    ("cases", print_cases),
    ("others", print_others),
    ("worst", print_worst_cases),
    ("fresh", print_fresh),
    ("expressions", print_expressions),
    ("wake", wake::print),
];

fn main() -> Outcome<()> {
    println!("decisions per second of this thread's CPU time, best of several runs; {TASKS} tasks");
    // cargo itself adds `--bench`.
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    for (name, print) in PARTS {
        if chosen.is_empty() || chosen.iter().any(|it| it == name) {
            print()?;
        }
    }
    Ok(())
}

/// The first case: what the others are compared with.
fn plain() -> Outcome<Vec<Shape>> {
    shapes(
        &case("plain", None, vec![Strategy::Binpack(BinpackField::Memory)]),
        TASKS,
    )
}

fn print_cases() -> Outcome<()> {
    let (small, large) = (snapshot(&usual(1000))?, snapshot(&usual(5000))?);
    let group = TaskGroup::parse("family:app")?;
    let compared = place(&large, &plain()?)?;
    println!(
        "\n{:36} {:>12} {:>12} {:>14} {:>9}",
        "instances", "1,000", "5,000", "slower", "to plain"
    );
    for case in cases() {
        let shapes = shapes(&case, TASKS)?;
        let (at_small, at_large) = (place(&small, &shapes)?, place(&large, &shapes)?);
        // Refusals explain themselves, which takes longer: such a cluster cannot be compared.
        let all_placed = place_all(&small, &shapes, &group) == TASKS;
        let scaling = if all_placed {
            format!("{:.2}x", at_small / at_large)
        } else {
            "1,000: full".to_owned()
        };
        let (name, small, large) = (case.name, per_second(at_small), per_second(at_large));
        println!(
            "{name:36} {small:>12} {large:>12} {scaling:>14} {:>8.2}x",
            at_large / compared
        );
    }
    Ok(())
}

fn print_others() -> Outcome<()> {
    let large = snapshot(&usual(5000))?;
    let group = TaskGroup::parse("family:app")?;
    let shapes = plain()?;
    let few: Vec<Shape> = shapes.iter().take(REFERENCE_TASKS).cloned().collect();
    let (mut compared, mut reference, mut sqlite) = (0.0_f64, 0.0_f64, 0.0_f64);
    // In turns, because other work on the machine slows all of them down for seconds at a time.
    for _ in 0..TURNS {
        compared = compared.max(place(&large, &shapes)?);
        reference = reference.max(decisions_per_second(few.len(), || {
            reference_all(&large, &few, &group)
        }));
        sqlite = sqlite.max(sqlite::decisions_per_second(&usual(5000), TASKS)?);
    }
    println!(
        "\n{:36} {:>12} {:>12}",
        "plain, 5,000 instances", "decisions", "Berth is"
    );
    for (name, speed) in [
        ("Berth", compared),
        ("its reference (linear)", reference),
        ("SQLite, index on (memory, cpu)", sqlite),
    ] {
        println!("{name:36} {:>12} {:>10.0} x", per_second(speed), compared / speed);
    }
    Ok(())
}

fn print_worst_cases() -> Outcome<()> {
    let compared = place(&snapshot(&usual(5000))?, &plain()?)?;
    println!(
        "\n{:36} {:>12} {:>9}",
        "worst cases, 5,000 instances", "decisions", "to plain"
    );
    for WorstCase {
        name,
        sketches,
        shapes,
    } in worst_cases()?
    {
        let speed = place(&snapshot(&sketches)?, &shapes)?;
        println!("{name:36} {:>12} {:>8.2}x", per_second(speed), speed / compared);
    }
    Ok(())
}

fn print_fresh() -> Outcome<()> {
    let (tiny, large) = (snapshot(&usual(100))?, snapshot(&usual(5000))?);
    println!(
        "\n{:36} {:>12} {:>12}",
        "one decision on a fresh snapshot of", "100", "5,000"
    );
    for case in cases() {
        let shapes = shapes(&case, 1)?;
        let (tiny, large) = (place(&tiny, &shapes)?, place(&large, &shapes)?);
        println!(
            "{:36} {:>12} {:>12}",
            case.name,
            per_second(tiny),
            per_second(large)
        );
    }
    Ok(())
}

fn print_expressions() -> Outcome<()> {
    let large = snapshot(&usual(5000))?;
    println!(
        "\n{:36} {:>12} {:>12}",
        "expressions, per CPU second", "parsed", "evaluated"
    );
    for (name, text) in [("=~ g2.*", G2), ("(a or b) and not c", FORMULA)] {
        let expression = Expression::parse(text)?;
        let parse = decisions_per_second(1000, || {
            (0..1000)
                .filter(|_| Expression::parse(std::hint::black_box(text)).is_ok())
                .count()
        });
        let instances = large.instances();
        let evaluate = decisions_per_second(instances.len(), || {
            instances
                .iter()
                .filter(|instance| expression.matches(*instance))
                .count()
        });
        println!("{name:36} {:>12} {:>12}", per_second(parse), per_second(evaluate));
    }
    Ok(())
}
