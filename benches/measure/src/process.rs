//! What Linux says of a process (proc(5)).

use std::fs;

use crate::Result;

/// Ticks a second of the times in `stat`; Linux has never told programs another number.
const TICKS: f64 = 100.0;

/// Seconds that the threads of a process have run, in user mode and in the kernel, to the nanosecond.
pub fn cpu(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran: u64 = text.split(' ').next().unwrap_or_default().parse()?;
        nanoseconds += ran;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// The most memory that the process has had resident, in KiB.
pub fn peak(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

/// The memory that the process has resident, in KiB.
pub fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

fn status(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let text = line.ok_or_else(|| format!("/proc/{pid}/status does not have {name}"))?;
    Ok(text.trim().trim_end_matches(" kB").parse()?)
}

/// Seconds that the children of this process have run, once they have ended.
pub fn children_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat is odd")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let [user, system] = [fields[13].parse::<f64>()?, fields[14].parse::<f64>()?];
    Ok((user + system) / TICKS)
}
