//! Measures the time of every path.
//!
//! usage: time [TEXT]: the paths whose name has it. Prints, beside criterion's own lines, one for each path that says what an
//! iteration is: operations, name.

use criterion::Criterion;
use memlane_micro::paths;
use std::{
    env,
    time::{Duration, Instant},
};

fn main() {
    let only = env::args().nth(1).unwrap_or_default();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1000))
        .sample_size(30)
        .without_plots();
    for path in paths().into_iter().filter(|path| path.name.contains(&only)) {
        println!("path {} {}", path.operations, path.name);
        let mut steps = None;
        criterion.bench_function(&path.name, |bencher| {
            let steps = steps.get_or_insert_with(|| (path.make)());
            // One iteration is one call, of many operations: the clock is read twice for all of them.
            bencher.iter_custom(|calls| {
                let mut total = Duration::ZERO;
                for _ in 0..calls {
                    steps.prepare();
                    let began = Instant::now();
                    steps.run();
                    total += began.elapsed();
                }
                total
            });
        });
    }
    criterion.final_summary();
}
