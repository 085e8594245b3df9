//! CPU time and memory of a process, from proc(5).

use std::fs;

use crate::Result;

/// The number of ticks per second, for the times in `stat`. Linux has always used this value in its interface to programs.
const TICKS: f64 = 100.0;

/// The CPU time of all threads of a process in seconds, in user mode and in the kernel, with a resolution of a nanosecond.
pub fn cpu(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran: u64 = text.split(' ').next().unwrap_or_default().parse()?;
        nanoseconds += ran;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// The peak of the resident memory of a process, in KiB.
pub fn peak(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

/// The resident memory of a process, in KiB.
pub fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

fn status(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let text = line.ok_or_else(|| format!("/proc/{pid}/status has no {name}"))?;
    Ok(text.trim().trim_end_matches(" kB").parse()?)
}

/// The CPU time of the children of this process that have ended, in seconds.
pub fn children_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in parentheses, which may contain any character.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat has no name in parentheses")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let [user, system] = [fields[13].parse::<f64>()?, fields[14].parse::<f64>()?];
    Ok((user + system) / TICKS)
}
