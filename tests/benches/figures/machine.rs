//! What it was measured on.

use std::process::Command;

pub(crate) fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib: u64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{} GiB", kib.div_ceil(1 << 20)))
    });
    let load = std::fs::read_to_string("/proc/loadavg").ok().and_then(|text| Some(text.split(' ').next()?.to_owned()));
    let date = output("date", &["-u", "+%Y-%m-%d"]);
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    format!(
        "Machine: {}, {cores} cores, {}, {} {}. Load before the first section: {}. Measured {} at commit {}.",
        cpu.unwrap_or_else(|| "unknown processor".to_owned()),
        memory.unwrap_or_else(|| "memory unknown".to_owned()),
        std::env::consts::OS,
        output("uname", &["-r"]),
        load.unwrap_or_else(|| "unknown".to_owned()),
        date,
        commit,
    )
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
