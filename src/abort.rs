//! Reports panics in a program built with `panic = "abort"`. Such a program ends when the panic hook returns.

use std::{
    panic::{self, PanicHookInfo},
    sync::{Mutex, Once, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::{
    Context, Failure,
    api::{Api, Phase},
    executor::block_on,
    failure::panics::Place,
    logs,
    wire::address::Address,
    wire::connection::Connection,
};

/// The time limit for flushing standard output.
const FLUSH: Duration = Duration::from_millis(100);

/// The number of a watch, the address to report to, and the phase that a panic would end.
type Entry = (u64, Address, Phase);

/// The number of the last watch, and the entries of the phases under way. There are none if panics unwind.
static WATCHED: Mutex<(u64, Vec<Entry>)> = Mutex::new((0, Vec::new()));

/// While this exists, a panic that ends the program is reported to Lambda, on whichever thread it occurs.
#[derive(Debug)]
pub(crate) struct Watch(u64);

/// Watches for panics during a phase; does nothing if panics unwind.
pub(crate) fn watch(address: &Address, phase: impl FnOnce() -> Phase) -> Option<Watch> {
    static HOOK: Once = Once::new();
    if !cfg!(panic = "abort") {
        return None;
    }
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            previous(panic);
            report(panic);
        }));
    });
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let (number, entries) = &mut *watched;
    *number += 1;
    entries.push((*number, address.clone(), phase()));
    Some(Watch(*number))
}

impl Drop for Watch {
    fn drop(&mut self) {
        // No watch exists if panics unwind. This check lets the optimizer remove the rest.
        if !cfg!(panic = "abort") {
            return;
        }
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.1.retain(|(number, ..)| *number != self.0);
    }
}

/// Reports a panic for every watched phase, over new connections because the state of the existing ones is unknown.
fn report(panic: &PanicHookInfo<'_>) {
    // Take the entries out, so that a panic in this function finds nothing to report.
    let entries = match WATCHED.lock() {
        Ok(mut watched) => std::mem::take(&mut watched.1),
        Err(_) => return,
    };
    let failure = Failure::panic(panic.payload(), panic.location().map(Place::from));
    for (_, address, phase) in entries {
        let request_id = phase.context().map_or("", Context::request_id);
        logs::failure(request_id, &failure);
        // If the report fails, nothing else can be done.
        let _ = block_on(Api::new(&address, Connection::new(&address)).fail(&phase, &failure));
    }
    // Flush on another thread: a thread that holds the lock on stdout may be waiting for this one.
    let (sender, flushed) = mpsc::channel();
    thread::spawn(move || {
        logs::flush();
        let _ = sender.send(());
    });
    let _ = flushed.recv_timeout(FLUSH);
}
