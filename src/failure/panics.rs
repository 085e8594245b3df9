//! The source locations of panics.

use std::{
    cell::RefCell,
    fmt,
    panic::{self, Location},
    sync::Once,
};

/// A location in the function's source.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub file: String,
    pub line: u32,
    column: u32,
}

impl From<&Location<'_>> for Place {
    fn from(location: &Location<'_>) -> Self {
        Place { file: location.file().to_owned(), line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

thread_local! {
    /// The location of the last panic on this thread.
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Installs a panic hook that records the location for [`place`] and then calls the previous hook.
pub(crate) fn remember() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A thread that is ending may have dropped its thread-local values.
            let _ = PLACE.try_with(|place| place.replace(panic.location().map(Place::from)));
            previous(panic);
        }));
    });
}

/// Takes the location of the last panic on this thread.
pub(crate) fn place() -> Option<Place> {
    PLACE.take()
}

/// Forgets the location of a panic that other code has caught, so that it is not taken for the location of the next one.
pub(crate) fn forget() {
    PLACE.take();
}
