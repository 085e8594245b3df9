//! `fetch`: downloads everything that `build` and `docker-build` need, so that both can run later without a network.

use anyhow::{Context, Result};

use crate::build::{Prepared, openssl_source};
use crate::image::{Image, Stage};
use crate::{
    archives::Archives, cache::Cache, docker_build::Cross, engine::Engine, options, pins::Pins, step::say, wheels,
};

/// Downloads everything, and prints the paths of the pins' archives, one per line.
pub fn run(options: options::Fetch) -> Result<()> {
    let cache = Cache::open()?;
    let options::PinsOptions { pins, sources } = &options.image.pins;
    // Pins that the options name are checked before anything is downloaded.
    let named = pins.as_deref().map(|name| Pins::named(Some(name))).transpose()?;
    let Prepared { rust, functions, .. } = &Prepared::of(&options.source, &cache)?;
    let (function, _) = functions.first().context("the package has no binary target, such as src/main.rs")?;
    let pins = named.map_or_else(|| Pins::named(function.defaults.text("pins")), Ok)?;
    let archives = Archives::of(&pins, sources.as_deref(), &cache)?;
    openssl_source(rust, &cache)?;
    if cfg!(target_os = "linux") {
        wheels::emulator(&cache)?;
    }
    Cross::install(function.arch, rust, &cache)?;
    if let Some(lock) = function.defaults.text("classic-lock") {
        function.fetch(rust, &cache, Some(&function.workspace.join(lock)))?;
    }
    match Engine::find() {
        Ok(engine) => {
            let image = Image::new(&engine, &pins, function.arch, &options.image, function)?;
            image.build(Stage::Packages, &cache)?;
        }
        Err(_) => say("note: the base image for docker-build is not fetched, because no container engine works here"),
    }
    for path in archives.paths() {
        println!("{}", path.display());
    }
    Ok(())
}
