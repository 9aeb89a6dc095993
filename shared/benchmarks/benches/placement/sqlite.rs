//! What the same decision costs in SQL: the instance with the least memory left that fits.

use berth_benchmarks::{InstanceSketch, demands};
use berth_scheduler::resources::Demand;
use rusqlite::{Connection, params};

use crate::Outcome;
use crate::clock;

/// Decisions per CPU second; one transaction in memory, statements prepared once.
pub(crate) fn decisions_per_second(sketches: &[InstanceSketch], tasks: usize) -> Outcome<f64> {
    let demands = demands(tasks);
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "CREATE TABLE instance (id INTEGER PRIMARY KEY, cpu INTEGER, memory INTEGER);
         CREATE INDEX room ON instance (memory, cpu);",
    )?;
    fill(&connection, sketches)?;
    let mut failed = None;
    let speed = clock::decisions_per_second(tasks, || {
        if let Err(error) = place_all(&connection, &demands) {
            failed = Some(error);
        }
    });
    match failed {
        None => Ok(speed),
        Some(error) => Err(error),
    }
}

fn fill(connection: &Connection, sketches: &[InstanceSketch]) -> Outcome<()> {
    let mut insert = connection.prepare("INSERT INTO instance (cpu, memory) VALUES (?1, ?2)")?;
    for sketch in sketches {
        insert.execute(params![sketch.cpu, sketch.memory])?;
    }
    Ok(())
}

fn place_all(connection: &Connection, demands: &[Demand]) -> Outcome<usize> {
    let mut placed = 0;
    connection.execute_batch("BEGIN")?;
    {
        let mut choose = connection.prepare_cached(
            "SELECT id FROM instance WHERE memory >= ?1 AND cpu >= ?2 ORDER BY memory LIMIT 1",
        )?;
        let mut take = connection
            .prepare_cached("UPDATE instance SET memory = memory - ?1, cpu = cpu - ?2 WHERE id = ?3")?;
        for demand in demands {
            let (memory, cpu) = (demand.memory.get(), demand.cpu.get());
            let mut rows = choose.query(params![memory, cpu])?;
            let id: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
            drop(rows);
            if let Some(id) = id {
                take.execute(params![memory, cpu, id])?;
                placed += 1;
            }
        }
    }
    // The next run starts from the same room.
    connection.execute_batch("ROLLBACK")?;
    Ok(placed)
}
