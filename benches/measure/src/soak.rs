//! Sends many events to one function, which must not grow in memory, open a second connection or lose an event.

use std::process::ExitCode;

use crate::{Result, build::Built, load::Load};

/// The number of samples during the run.
const LOOKS: usize = 10;

/// The maximum memory growth between the first sample and the last, in KiB. The kernel counts memory in batches.
const GROWTH: f64 = 64.0;

pub fn soak(root: &str, invocations: &str) -> Result<ExitCode> {
    let expected = || format!("INVOCATIONS={invocations:?}: expected a number of at least {LOOKS}");
    let number = invocations.parse().ok().filter(|number: &usize| *number >= LOOKS).ok_or_else(expected)?;
    let every = number / LOOKS;
    let number = every * LOOKS;
    let binary = Built::with_features(root, "ours", &[])?.binary;

    println!("| invocations | µs each | CPU µs each | resident, KiB | connections |");
    println!("| --: | --: | --: | --: | --: |");
    let mut moments = Vec::new();
    let (_, peak) = Load::many(number, every).watch(&binary, |moment| {
        if let Some(last) = moments.last() {
            let last: &crate::load::Moment = last;
            let each = |seconds: f64| seconds * 1e6 / every as f64;
            println!(
                "| {} | {:.1} | {:.1} | {:.0} | {} |",
                moment.answered,
                each((moment.at - last.at).as_secs_f64()),
                each(moment.cpu - last.cpu),
                moment.resident,
                moment.connections,
            );
        }
        moments.push(moment);
    })?;
    let [first, .., last] = &moments[..] else { return Err("expected at least two samples".into()) };
    let grown = last.resident - first.resident;
    println!(
        "\n{} events, each answered once; {} connection(s); memory {:.0} KiB after {} events, {:.0} KiB at the end, {peak:.0} KiB at the peak",
        last.answered, last.connections, first.resident, first.answered, last.resident,
    );
    if last.connections != 1 {
        return Err(format!("expected 1 connection, saw {}", last.connections).into());
    }
    if grown > GROWTH {
        return Err(format!("memory grew by {grown:.0} KiB; expected at most {GROWTH:.0}").into());
    }
    Ok(ExitCode::SUCCESS)
}
