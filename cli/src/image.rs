//! The builder image: gcc from the base image, and a prefix with musl and OpenSSL from the pins. Its tag is a hash of all
//! its inputs, so a stale image is never used and an unchanged one is not built again.

use std::fs;

use anyhow::{Context, Result};

use crate::command::{clean_up, output};
use crate::engine::{Engine, check_image};
use crate::files::{self, At, DOCKER, identity};
use crate::pins::{Archive, Pins};
use crate::project::Function;
use crate::step::{self, say};
use crate::{arch::Arch, archives::Archives, cache::Cache, options::ImageOptions, package::Part};

/// The tag in the name of an image.
pub fn tag(image: &str) -> &str {
    image.rsplit(':').next().unwrap_or_default()
}

/// The path of the prefix in the image.
pub const PREFIX: &str = "/opt/lambda-musl";

/// A builder image and everything that decides how it is built.
pub struct Image<'a> {
    pub engine: &'a Engine,
    pub pins: &'a Pins,
    pub arch: Arch,
    /// The tools that are called by build scripts, under their names in packages.sh: cmake, nasm, pkg-config, libclang.
    pub tools: Vec<&'static str>,
    options: &'a ImageOptions,
    base: String,
}

/// The stages of the Dockerfile that are tagged: the base with its packages, and the builder image itself.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Stage {
    Packages,
    Builder,
}

impl<'a> Image<'a> {
    pub fn new(
        engine: &'a Engine, pins: &'a Pins, arch: Arch, options: &'a ImageOptions, function: &Function,
    ) -> Result<Self> {
        let named = options.base.clone().or_else(|| function.defaults.text("base").map(Into::into));
        let base = named.unwrap_or_else(|| {
            let lines = files::of_docker("Dockerfile").lines();
            lines.filter_map(|line| line.strip_prefix("ARG BASE=")).collect()
        });
        check_image("--base", &base)?;
        Ok(Self { engine, pins, arch, tools: Vec::new(), options, base })
    }

    /// Builds the image if it does not exist, and returns its name.
    pub fn build(&self, stage: Stage, cache: &Cache) -> Result<String> {
        self.pull()?;
        // The tags depend on the id of the base, because its name can refer to a different image later.
        let base = self.engine.inspect(&self.base, "{{.Id}}");
        let base = base.with_context(|| format!("reading the id of the base image {}", self.base))?;
        let arch = self.arch.name();
        let packages = identity([&*base, arch, files::of_docker("packages.sh")]);
        let packages = self.engine.own(&format!("lambda-musl-packages:{packages}"));
        let tools = self.tools.join(" ");
        let parts = DOCKER.iter().map(|file| file.1).chain([&*base, arch, &tools]).chain(self.pins.checksums());
        let builder = self.engine.own(&format!("lambda-musl-builder:{}", identity(parts)));
        let image = if stage == Stage::Packages { &packages } else { &builder };
        // Without a lock, two processes could build the same image at the same time.
        let _lock = cache.lock(&format!("image-{}", tag(image)))?;
        let id = || self.engine.inspect(image, "{{.Id}}");
        let existing = id();
        if self.options.fresh || existing.is_none() {
            let context = cache.temporary("image")?;
            files::write_docker(context.path())?;
            if stage == Stage::Builder {
                Archives::of(self.pins, self.options.pins.sources.as_deref(), cache)?.copy(context.path())?;
            }
            let run = |text: String, stage: &str, options: &[&str]| {
                let mut build = self.engine.command(["build", "--force-rm", "--platform", self.arch.platform()]);
                build.args(["--build-arg", &format!("BASE={}", self.base), "--build-arg", &format!("TOOLS={tools}")]);
                build.args(["--target", stage]).args(self.options.fresh.then_some("--no-cache")).args(options);
                build.arg(context.path());
                step::run(cache, &text, &mut build)
            };
            let of_packages = || run(format!("packages on {}", self.base), "packages", &["--tag", &packages]);
            let last = if tools.is_empty() { "builder" } else { "builder-with-tools" };
            if stage == Stage::Packages {
                of_packages()?;
            } else if self.options.fresh {
                run("builder image from scratch".into(), last, &["--tag", &builder])?;
            } else {
                // Each stage reuses the earlier ones from the engine's build cache.
                of_packages()?;
                run(format!("musl {}", self.pins.musl.version), "musl", &[])?;
                run(format!("OpenSSL {}", self.pins.openssl.version), "openssl", &[])?;
                run("builder image".into(), last, &["--tag", &builder])?;
            }
        }
        if stage == Stage::Builder {
            // `cross build` needs a tag that does not change.
            self.engine.output(["tag", &builder, &self.engine.own(&format!("lambda-musl-builder:{arch}"))])?;
        }
        if let Some(replaced) =
            existing.filter(|_| self.options.fresh).filter(|existing| id().as_ref() != Some(existing))
        {
            // An image without a tag would only use disk space. The engine keeps one that is in use.
            clean_up(&mut self.engine.command(["rmi", &replaced]));
        }
        Ok(image.clone())
    }

    fn pull(&self) -> Result<()> {
        let platform = self.arch.platform();
        let here = self.engine.inspect(&self.base, "{{.Architecture}}");
        if here.is_some_and(|arch| platform.ends_with(&format!("/{arch}"))) {
            return Ok(());
        }
        say(&format!("pulling {} …", self.base));
        let pulled = self.engine.output(["pull", "--platform", platform, &self.base]);
        let base = &self.base;
        pulled.map(|_| ()).with_context(|| {
            format!(
                "{base}: the base image for {platform} is not on this machine and cannot be pulled; without access to a \
                 registry, create a base with base-image, which prints the name to use with --base"
            )
        })
    }

    /// The parts of a binary that come from the pins and the image, not from crates. Their licence texts and versions are
    /// copied from the image once.
    pub fn parts(&self, image: &str, with_openssl: bool, cross: &str, cache: &Cache) -> Result<Vec<Part>> {
        let (engine, platform) = (self.engine, self.arch.platform());
        let directory = cache.entry(&format!("licences/{}", tag(image)), |directory| {
            let container = engine.output(["create", "--platform", platform, image, "true"])?;
            let copied = ["COPYRIGHT.musl", "VERSION.musl", "LICENSE.openssl"].into_iter().try_for_each(|file| {
                let from = format!("{container}:{PREFIX}/{file}");
                output(engine.command(["cp", &from]).arg(directory.join(file))).map(|_| ())
            });
            clean_up(&mut engine.command(["rm", "--force", "--volumes", &container]));
            copied?;
            let gcc = engine.output(["run", "--rm", "--platform", platform, image, "gcc", "-dumpfullversion"])?;
            fs::write(directory.join("gcc"), gcc).at(directory)
        })?;
        self.pins.check_musl(&directory)?;
        let library = |name: &str, version: &str, archive: &Archive, licence: &str, text: Option<&str>| Part {
            sha256: Some(archive.sha256.clone()),
            ..Part::library(name, version, &archive.urls[0], licence, text.map(|text| directory.join(text)))
        };
        let (musl, openssl) = (&self.pins.musl, &self.pins.openssl);
        let mut parts = vec![library("musl", &musl.version, &musl.archive, "MIT", Some("COPYRIGHT.musl"))];
        for patch in &self.pins.patches {
            let name = format!("musl-{}", patch.file.trim_end_matches(".patch"));
            parts.push(library(&name, &musl.version, patch, "MIT", None));
        }
        if with_openssl {
            let licence = if openssl.version.starts_with(['0', '1']) { "OpenSSL" } else { "Apache-2.0" };
            parts.push(library("OpenSSL", &openssl.version, &openssl.archive, licence, Some("LICENSE.openssl")));
        }
        let gcc = fs::read_to_string(directory.join("gcc")).at(&directory)?;
        parts.push(Part::tool("gcc", gcc.trim(), "https://gcc.gnu.org", "GPL-3.0-or-later"));
        parts.push(Part::tool("cross", cross, "https://github.com/cross-rs/cross", "MIT OR Apache-2.0"));
        Ok(parts)
    }
}
