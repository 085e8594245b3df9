//! `invoke --dev`: sends an event to the server that `dev` runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Answer, post_to};
use crate::{cache::Cache, dev::found, interrupt, project, rust::Rust};

/// Sends the event to a served function of the project in this directory.
pub fn invoke(krate: &Path, bin: Option<&str>, event: &[u8], cache: &Cache) -> Result<Answer> {
    let rust = Rust::of(krate, cache)?;
    let servers = found::servers(&project::target_directory(krate, &rust)?);
    let all = || servers.iter().flat_map(|server| server.functions.iter().map(|name| (server.port, name)));
    let names = Vec::from_iter(all().map(|(_, name)| &**name).collect::<BTreeSet<&str>>());
    let name = match (bin, &names[..]) {
        (_, []) => {
            bail!(
                "no server is running for this project; start one with `cargo lambda-musl dev` in its directory, in another terminal"
            )
        }
        (None, [name]) => name,
        (None, _) => bail!("there are several functions; name one of them with --bin: {}", names.join(", ")),
        (Some(bin), _) if names.contains(&bin) => bin,
        (Some(bin), _) => bail!("the function {}", project::unknown(bin, &names)),
    };
    let port = all()
        .find(|(_, served)| *served == name)
        .map(|(port, _)| port)
        .context("the function's server has no known port")?;
    let (name, event) = (name.to_owned(), event.to_vec());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // The event is sent on a separate thread, so that a signal is handled during the wait.
    let (status, answer) =
        interrupt::compute(move || post_to(address, &name, &event))?.context("the server did not respond")?;
    if status != 200 {
        let refusal: Value = serde_json::from_slice(&answer).unwrap_or_default();
        bail!("{}", refusal["Message"].as_str().unwrap_or("the server refused the event"));
    }
    Ok((status, answer))
}
