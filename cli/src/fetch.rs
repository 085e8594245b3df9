//! `fetch`: everything that `build` and `docker-build` download, so that both run later without a network.

use anyhow::Result;

use crate::{
    archives::Archives,
    build,
    cache::Cache,
    docker_build,
    engine::Engine,
    image::{Image, Stage},
    options,
    pins::Pins,
    step::say,
    wheels,
};

/// Prints where the archives of the pins are, a line each.
pub fn run(options: options::Fetch) -> Result<()> {
    let cache = Cache::open()?;
    let named = Pins::named(options.pins.pins.as_deref())?;
    let archives = Archives::of(&named, options.pins.sources.as_deref(), &cache)?;
    let prepared = build::fetch(&options.source, &cache)?;
    let (rust, function) = (&prepared.rust, &prepared.function);
    if cfg!(target_os = "linux") {
        wheels::emulator(&cache)?;
    }
    docker_build::install(rust, &cache)?;
    rust.in_container(function.arch, &cache)?;
    if let Some(lock) = &function.classic_lock {
        function.fetch(rust, &cache, Some(&function.workspace.join(lock)))?;
    }
    match Engine::find() {
        Ok(engine) => {
            let image = Image::new(&engine, &named, function.arch, &options.image, &options.pins, Some(function))?;
            image.build(Stage::Packages, &cache)?;
        }
        Err(_) => say("note: without an engine the base image of docker-build is not fetched"),
    }
    for path in archives.paths() {
        println!("{}", path.display());
    }
    Ok(())
}
