//! The last words of a program with `panic = "abort"`, where a panic ends it from inside of the panic hook.

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

/// How long standard output may take.
const FLUSH: Duration = Duration::from_millis(100);

/// A number, whom to tell, and of what.
type Entry = (u64, Address, Phase);

/// What would be cut by the end of the program. It stays empty where panics unwind.
static WATCHED: Mutex<(u64, Vec<Entry>)> = Mutex::new((0, Vec::new()));

/// Has a panic reported that ends the program, wherever it happens, as long as this is not dropped.
#[derive(Debug)]
pub(crate) struct Watch(u64);

/// Nothing is to be watched where panics unwind, and nothing is made for it.
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
        // There is none then, and the optimizer leaves out the rest.
        if !cfg!(panic = "abort") {
            return;
        }
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.1.retain(|(number, ..)| *number != self.0);
    }
}

/// Reports a panic to all that is watched, over fresh connections: nobody knows in which state the others are.
fn report(panic: &PanicHookInfo<'_>) {
    // Taken out: a panic in here would find nothing to do.
    let entries = match WATCHED.lock() {
        Ok(mut watched) => std::mem::take(&mut watched.1),
        Err(_) => return,
    };
    let failure = Failure::panic(panic.payload(), panic.location().map(Place::from));
    for (_, address, phase) in entries {
        let request_id = phase.context().map_or("", Context::request_id);
        logs::failure(request_id, &failure);
        // What is refused is logged; there is nothing else left to do.
        let _ = block_on(Api::new(&address, Connection::new(&address)).fail(&phase, &failure));
    }
    // On another thread, as one that keeps stdout for itself may wait for this one.
    let (sender, flushed) = mpsc::channel();
    thread::spawn(move || {
        logs::flush();
        let _ = sender.send(());
    });
    let _ = flushed.recv_timeout(FLUSH);
}
