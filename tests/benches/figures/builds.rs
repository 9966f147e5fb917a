//! The first build of a Worker.

use std::process::Stdio;

use miniflow_runtime::clock::Stopwatch;

use super::saves::copied;
use super::sections::{Figure, figure, folder, ms};
use super::server::{Mode, program};

/// Builds that are measured: each takes half a minute.
const BUILDS: usize = 2;

/// `examples/hello` with an empty target directory; the sources of all crates are in cargo's cache.
pub(super) fn builds() -> Vec<Figure> {
    let (mut seconds, mut crates) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    // `check` builds as `dev` does.
    for (profile, command) in ["check", "build"].into_iter().enumerate() {
        // The first one fetches what is missing and does not count.
        for build in 0..=BUILDS {
            let (site, target) = (copied("hello"), folder());
            let stopwatch = Stopwatch::start();
            let output = program()
                .arg(command)
                .arg(site.path())
                .env("CARGO_TARGET_DIR", target.path())
                .stdin(Stdio::null())
                .output()
                .expect("the program starts");
            let took = ms(stopwatch) / 1000.0;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            if build > 0 {
                seconds[profile].push(took);
                let count = said.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count();
                crates[profile].push(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            }
        }
    }
    let [dev, release] = seconds;
    let [crates, _] = crates;
    vec![
        figure("hello with an empty target directory, `miniflow dev`", Mode::Normal, "s", dev),
        figure("the same, `miniflow build`", Mode::Normal, "s", release),
        figure("crates compiled", Mode::Normal, "", crates),
    ]
}
