//! Starting a Worker in the process of a test.

use futures::future::join_all;
use miniflow_runtime::clock::Stopwatch;
use miniflow_test::Worker;
use miniflow_tests::{build, repository};

use super::sections::Figure;

/// How many are started side by side.
const MANY: usize = 100;

fn ms(since: Stopwatch) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// One at a time, and many at once; the component is compiled before.
pub(crate) fn starts() -> Vec<Figure> {
    let folder = repository().join("tests/bench-worker");
    let worker = Worker::from_path(&folder).component(build(&folder));
    let (mut single, mut many) = (Vec::new(), Vec::new());
    miniflow_test::block_on(async {
        drop(worker.start().await.expect("it starts"));
        for _ in 0..50 {
            let since = Stopwatch::start();
            let started = worker.start().await.expect("it starts");
            single.push(ms(since));
            drop(started);
        }
        for _ in 0..5 {
            let since = Stopwatch::start();
            let started = join_all((0..MANY).map(|_| worker.start())).await;
            many.push(ms(since));
            drop(started);
        }
    });
    let figure = |name: &str, values| Figure { name: name.to_owned(), mode: "memory", unit: "ms", values };
    vec![figure("start of a test instance", single), figure("start of 100 of them at once", many)]
}
