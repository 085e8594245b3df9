//! The builder image: gcc of the base, and a prefix with musl and OpenSSL from the pins. Its tag is a hash of all that goes in:
//! a stale image cannot be used, and an unchanged one is not built again.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    arch::Arch,
    archives::Archives,
    cache::Cache,
    command::output,
    engine::{Engine, check_image},
    files::{self, DOCKER, identity},
    options::{ImageOptions, PinsOptions},
    package::Part,
    pins::Pins,
    project::Function,
    step::{self, say},
};

/// Where the prefix is in the image.
pub const PREFIX: &str = "/opt/lambda-musl";

/// A builder image, as it is to be built.
pub struct Image<'a> {
    pub engine: &'a Engine,
    pub pins: &'a Pins,
    pub arch: Arch,
    sources: Option<PathBuf>,
    base: String,
    fresh: bool,
}

/// The last two stages of the Dockerfile that are of use: the base with its packages, and the image itself.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Stage {
    Packages,
    Builder,
}

/// Licence texts and the version of the compiler, which lie in the image.
pub struct Company {
    directory: PathBuf,
}

impl<'a> Image<'a> {
    pub fn new(engine: &'a Engine, pins: &'a Pins, arch: Arch, options: &ImageOptions, sources: &PinsOptions, function: Option<&Function>) -> Result<Self> {
        let named = options.base.clone().or_else(|| function.and_then(|function| function.base.clone()));
        let base = named.unwrap_or_else(|| {
            let lines = files::of_docker("Dockerfile").lines();
            lines.filter_map(|line| line.strip_prefix("ARG BASE=")).collect()
        });
        check_image("--base", &base)?;
        Ok(Self { engine, pins, arch, sources: sources.sources.clone(), base, fresh: options.fresh })
    }

    /// Builds the image where it is not there, and says its name.
    pub fn build(&self, stage: Stage, cache: &Cache) -> Result<String> {
        self.pull()?;
        // By its id: the same name can mean another image tomorrow.
        let base = self.engine.inspect(&self.base, "{{.Id}}").with_context(|| format!("the base image {}", self.base))?;
        let arch = self.arch.name();
        let packages = identity([&*base, arch, files::of_docker("packages.sh")]);
        let packages = self.engine.own(&format!("lambda-musl-packages:{packages}"));
        let parts = DOCKER.iter().map(|file| file.text).chain([&*base, arch]).chain(self.pins.checksums());
        let builder = self.engine.own(&format!("lambda-musl-builder:{}", identity(parts)));
        let image = if stage == Stage::Packages { &packages } else { &builder };
        // Two builds of one image would both compile it.
        let _lock = cache.lock(&format!("image-{}", image.rsplit(':').next().unwrap_or_default()))?;
        if self.fresh || self.engine.inspect(image, "{{.Id}}").is_none() {
            let context = cache.temporary("image")?;
            files::write_docker(context.path())?;
            if stage == Stage::Builder {
                Archives::of(self.pins, self.sources.as_deref(), cache)?.copy(context.path())?;
            }
            let run = |text: String, stage: &str, options: &[&str]| {
                let mut build = self.engine.command(["build", "--force-rm", "--platform", self.arch.platform()]);
                build.args(["--build-arg", &format!("ARCH={arch}"), "--build-arg", &format!("BASE={}", self.base)]);
                build.args(["--target", stage]).args(options).arg(context.path());
                step::run(cache, &text, &mut build)
            };
            let of_packages = || run(format!("packages on {}", self.base), "packages", &["--tag", &packages]);
            match (stage, self.fresh) {
                (Stage::Packages, _) => of_packages()?,
                (Stage::Builder, true) => run("builder image from nothing".into(), "builder", &["--no-cache", "--tag", &builder])?,
                (Stage::Builder, false) => {
                    // Each stage finds those before it in the engine's build cache.
                    of_packages()?;
                    run(format!("musl {}", self.pins.musl.version), "musl", &[])?;
                    run(format!("OpenSSL {}", self.pins.openssl.version), "openssl", &[])?;
                    run("builder image".into(), "builder", &["--tag", &builder])?;
                }
            }
        }
        if stage == Stage::Builder {
            // The name that stays the same, for `cross build`.
            self.engine.output(["tag", &builder, &self.engine.own(&format!("lambda-musl-builder:{arch}"))])?;
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
        pulled.map(|_| ()).with_context(|| {
            format!(
                "{}: the base image is not here for {platform} and cannot be pulled; where no registry can be reached, \
                 base-image makes a base, and says the --base to use",
                self.base
            )
        })
    }

    /// What lies in the image beside the libraries, copied once.
    pub fn company(&self, image: &str, cache: &Cache) -> Result<Company> {
        let name = format!("licences/{}", image.rsplit(':').next().unwrap_or_default());
        let directory = cache.entry(&name, |directory| {
            let platform = self.arch.platform();
            let id = self.engine.output(["create", "--platform", platform, image, "true"])?;
            let copied = ["COPYRIGHT.musl", "VERSION.musl", "LICENSE.openssl"].into_iter().try_for_each(|file| {
                let from = format!("{id}:{PREFIX}/{file}");
                output(self.engine.command(["cp", &from]).arg(directory.join(file))).map(|_| ())
            });
            let _ = self.engine.output(["rm", "--force", "--volumes", &id]);
            copied?;
            let gcc = self.engine.output(["run", "--rm", "--platform", platform, image, "gcc", "-dumpfullversion"])?;
            fs::write(directory.join("gcc"), gcc).with_context(|| directory.display().to_string())
        })?;
        check_musl(self.pins, &directory)?;
        Ok(Company { directory })
    }
}

/// An error where the archive holds another version of musl than the pins say.
pub fn check_musl(pins: &Pins, prefix: &std::path::Path) -> Result<()> {
    let version = fs::read_to_string(prefix.join("VERSION.musl")).with_context(|| prefix.display().to_string())?;
    if version.trim() != pins.musl.version {
        bail!("--pins {}: MUSL_VERSION is {}, but the archive is of musl {}", pins.name, pins.musl.version, version.trim());
    }
    Ok(())
}

impl Company {
    /// What the pins and the image bring into a binary, beside the crates.
    pub fn parts(&self, pins: &Pins, links_openssl: bool, cross: &str) -> Result<Vec<Part>> {
        let text = |name: &str| Some(self.directory.join(name));
        let library = |name: &str, version: &str, archive: &crate::pins::Archive, licence: &str| Part {
            sha256: Some(archive.sha256.clone()),
            ..Part::library(name, version, &archive.urls[0], licence)
        };
        let musl = &pins.musl;
        let mut parts = vec![Part { text: text("COPYRIGHT.musl"), ..library("musl", &musl.version, &musl.archive, "MIT") }];
        for (name, archive) in &pins.patches {
            parts.push(library(&format!("musl-{name}"), &musl.version, archive, "MIT"));
        }
        if links_openssl {
            let openssl = &pins.openssl;
            let licence = if openssl.version.starts_with(['0', '1']) { "OpenSSL" } else { "Apache-2.0" };
            parts.push(Part { text: text("LICENSE.openssl"), ..library("OpenSSL", &openssl.version, &openssl.archive, licence) });
        }
        let gcc = fs::read_to_string(self.directory.join("gcc"))?;
        parts.push(Part::tool("gcc", gcc.trim(), "https://gcc.gnu.org", "GPL-3.0-or-later"));
        parts.push(Part::tool("cross", cross, "https://github.com/cross-rs/cross", "MIT OR Apache-2.0"));
        Ok(parts)
    }
}

/// Calls what the image is told to be called by.
pub fn environment(engine: &Engine, image: &str, name: &str) -> Result<String> {
    let variables = engine.inspect(image, "{{range .Config.Env}}{{println .}}{{end}}").unwrap_or_default();
    let value = variables.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.map(Into::into).with_context(|| format!("{image}: its environment does not have {name}; expected a builder image"))
}

